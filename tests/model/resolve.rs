//! Replaces what stands for something that is known only when the request is made: `<arn app>`, `<version 2>`, …

use crate::model::{Page, Secret, Tenant, World};
use crate::request::Request;

/// The request as it is made.
pub(crate) fn resolve(world: &World, tenant: &Tenant, mut request: Request, calls: u64) -> Request {
    if let Some(id) = request.id_mut() {
        *id = resolved_id(world, tenant, id);
    }
    if let Request::BatchGetSecretValue { ids: Some(ids), .. } = &mut request {
        for id in ids {
            *id = resolved_id(world, tenant, id);
        }
    }
    if let Request::CreateSecret { metadata, .. } | Request::UpdateSecret { metadata, .. } = &mut request
        && metadata.key.as_deref() == Some("<key arn>")
    {
        let Tenant { account, region } = tenant;
        metadata.key = Some(format!("arn:aws:kms:{region}:{account}:key/8b9c3e1a-0000-4000-8000-000000000002"));
    }
    let id = request.id_mut().cloned().unwrap_or_default();
    let secret = world.find(tenant, &id).map(|index| &world.secrets[index]);
    if let Some(label) = request.label_mut()
        && let Some(n) = label.strip_prefix("<held ").and_then(|n| n.strip_suffix('>')?.parse::<usize>().ok())
    {
        let held: Vec<_> = secret.iter().flat_map(|secret| &secret.versions).flat_map(|v| &v.stages).collect();
        *label = held.get(n % held.len().max(1)).map_or("AWSCURRENT".to_owned(), |held| (*held).clone());
    }
    let stage = match &request {
        Request::UpdateSecretVersionStage { stage, .. } => Some(stage.clone()),
        Request::GetSecretValue { stage, .. } => stage.clone(),
        _ => None,
    };
    for version in request.version_ids_mut() {
        if let Some(text) = version
            && text.starts_with('<')
        {
            *text = resolved_version(secret, stage.as_deref().unwrap_or("AWSCURRENT"), text, calls);
        }
    }
    resolve_page(world, tenant, request)
}

fn resolved_id(world: &World, tenant: &Tenant, id: &str) -> String {
    let Some((form, name)) = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')?.split_once(' ')) else {
        return id.to_owned();
    };
    let start = tenant.arn_start();
    // The latest ARN that the name had, here or in another account or Region.
    let of_tenant = |arn: &&String| arn.starts_with(&start);
    let of_name = |arn: &&String| arn.contains(&format!(":secret:{name}-"));
    let is_whole = |arn: &&String| arn.rsplit_once(":secret:").is_some_and(|(_, end)| end.len() == name.len() + 7);
    let arns: Vec<_> = world.arns.iter().filter(of_name).filter(is_whole).collect();
    let made_up = format!("{start}{name}-AbCd12");
    let latest = arns.iter().copied().rfind(of_tenant).unwrap_or(&made_up).clone();
    match form {
        "arn" => latest,
        "partial" => format!("{start}{name}"),
        "suffix" => format!("{start}{name}-ZZZZ99"),
        "old" => (*arns.first().unwrap_or(&&made_up)).clone(),
        "region" => latest.replace("us-east-1", "ap-south-1"),
        "account" => latest.replace(&tenant.account, "999999999999"),
        "bare" => latest.replace(":secret:", ":"),
        _ => unreachable!("{form}"),
    }
}

fn resolved_version(secret: Option<&Secret>, stage: &str, text: &str, calls: u64) -> String {
    let nothing = || format!("no-version-{:021}", 0);
    let Some(secret) = secret.filter(|secret| !secret.versions.is_empty() && text != "<fresh>") else {
        return if text == "<fresh>" { format!("fresh-token-{calls:020}") } else { nothing() };
    };
    let newest = secret.versions.len() - 1;
    let holder = secret.holder(stage);
    let nth = |n: usize| newest - n.min(newest);
    let at = match text {
        "<version>" => newest,
        "<version 1>" => nth(1),
        "<version 2>" => nth(2),
        "<version 3>" => 0,
        "<holder>" => holder.unwrap_or(newest),
        "<other>" => (0..=newest).find(|at| Some(*at) != holder).unwrap_or(newest),
        _ => unreachable!("{text}"),
    };
    secret.versions[at].id.clone()
}

/// `<next>`: the page after the last one of this kind, with the request that the token belongs to.
fn resolve_page(world: &World, tenant: &Tenant, mut request: Request) -> Request {
    let operation = request.operation();
    let Some(next) = request.next_mut() else { return request };
    let (is_anyway, is_any) = match next.as_deref() {
        Some("<next>") => (false, false),
        Some("<next anyway>") => (true, false),
        Some("<next of any>") => (true, true),
        _ => return request,
    };
    let mine = |page: &&Page| is_any || page.request.operation() == operation && page.tenant == *tenant;
    let page = world.pages.iter().rfind(mine);
    *next = page.map(|page| page.token.clone());
    match page {
        Some(page) if !is_anyway => {
            let mut again = page.request.clone();
            if let Some(next) = again.next_mut() {
                *next = Some(page.token.clone());
            }
            again
        }
        _ => request,
    }
}
