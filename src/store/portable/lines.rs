//! Feature `json`: an export that is not encrypted, as lines of JSON.

use std::io::{self, BufRead, Seek, SeekFrom, Write};

use ring::hmac;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::json::WipedBuffer;
use crate::json::lines::{self, FORMAT_VERSION, Line};
use crate::model::portable::Portable;
use crate::store::portable::{Source, bad_file};
use crate::store::{ExportOptions, ExportReport, ImportOptions, ImportReport, Progress, SecretStore};

/// Longest line, in bytes. A secret whose line is longer cannot be exported like this.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

impl SecretStore {
    /// Writes the secrets **unencrypted**, as lines of JSON (feature `json`): for other software, and for tests. Whoever
    /// reads `out` reads every value.
    ///
    /// The first line names the format. Then there is one object for each secret, with the members that the API has for it,
    /// its versions in `Versions`, and each value as `SecretString` or, in base64, as `SecretBinary`. The last line counts
    /// secrets and versions, so that a reader notices if lines are missing. Everything else is as for
    /// [`export`](Self::export). Buffers of this crate that held values are wiped; `out` is the caller's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BackupFile`]: `out` fails. [`ErrorKind::LimitExceeded`]: the line of a secret would be longer than 64
    /// MiB, which takes hundreds of versions of the largest values. Else as for [`export`](Self::export). After an error,
    /// what was written is incomplete, and is refused by [`import_plaintext`](Self::import_plaintext).
    ///
    /// # Example
    ///
    /// ```
    /// use strongroom::{CreateSecretRequest, ExportOptions, ImportOptions, SecretStore, StaticKey};
    ///
    /// let old = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// old.default_secrets_manager().create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let mut lines = Vec::new();
    /// old.export_plaintext(&mut lines, &ExportOptions::new(), &mut |_| ())?;
    ///
    /// let new = SecretStore::in_memory().key_provider(StaticKey::new([8; 32])).open()?;
    /// let mut lines = std::io::Cursor::new(lines);
    /// let imported = new.import_plaintext(&mut lines, &ImportOptions::new(), &mut |_| ())?;
    /// assert_eq!(imported.created, 1);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn export_plaintext(
        &self,
        out: &mut dyn Write,
        options: &ExportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ExportReport> {
        let tenants = options.tenants()?;
        let mut write = |line: Result<Zeroizing<Vec<u8>>, String>, what: &str| {
            let line = line.map_err(|why| bad_file(format!("{what} {why}")))?;
            if line.len() > LINE_BYTES_MAX {
                return Err(Error::limit_exceeded(format!("{what} needs a line of more than {LINE_BYTES_MAX} bytes.")));
            }
            let failed = |error| bad_file(format!("cannot write the export: {error}")).with_source(error);
            out.write_all(&line).and_then(|()| out.write_all(b"\n")).map_err(failed)
        };
        write(lines::header(), "the header")?;
        let report = self.for_each_portable(&tenants, options, progress, &mut |portable| {
            write(lines::secret(portable), &portable.secret.arn)
        })?;
        write(lines::end(report.secrets, report.versions), "the last line")?;
        out.flush().map_err(|error| bad_file(format!("cannot write the export: {error}")).with_source(error))?;
        Ok(report)
    }

    /// Brings secrets into this store that [`export_plaintext`](Self::export_plaintext) wrote, or other software in the
    /// same form (feature `json`). Everything else is as for [`import`](Self::import).
    ///
    /// The input is read twice from where it stands, first to check all of it: what changes in between is noticed, and
    /// ends the import. A secret has to be one that the operations of the API could have made; unknown members are refused.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BackupFile`]: a line is not what it should be, and the text says which and why; a line is longer than
    /// 64 MiB; lines are missing; the input cannot be read, or not from the start again. [`ErrorKind::UnsupportedFormat`]:
    /// a newer version wrote it. Else as for [`import`](Self::import).
    pub fn import_plaintext<R: BufRead + Seek>(
        &self,
        input: &mut R,
        options: &ImportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ImportReport> {
        options.key()?;
        let mut key = Zeroizing::new([0; 32]);
        self.inner.entropy.fill(key.as_mut_slice())?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_slice());
        let unreadable = |error: io::Error| bad_file(format!("cannot read the export: {error}")).with_source(error);
        let start = input.stream_position().map_err(unreadable)?;
        let end = input.seek(SeekFrom::End(0)).map_err(unreadable)?;
        let mut source = Lines {
            input,
            start,
            length: end.saturating_sub(start),
            position: 0,
            number: 0,
            secrets: 0,
            versions: 0,
            key,
            tags: Vec::new(),
        };
        source.rewind()?;
        self.import_from(&mut source, options, progress)
    }
}

/// The lines of an export. Those that are read again have to be those that were read before.
struct Lines<'a, R> {
    input: &'a mut R,
    start: u64,
    length: u64,
    position: u64,
    /// Of the line that was read last, from 1.
    number: usize,
    secrets: u64,
    versions: u64,
    /// Known to nobody else: what is remembered of a line tells nothing about the values in it.
    key: hmac::Key,
    tags: Vec<hmac::Tag>,
}

impl<R: BufRead> Lines<'_, R> {
    /// The next line, without its end. `None`: there is none.
    fn line(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        self.number += 1;
        let mut line = WipedBuffer::default();
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.refuse_line(&error.to_string()).with_source(error)),
            };
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            if line.0.len().saturating_add(part.len()) > LINE_BYTES_MAX {
                return Err(self.refuse_line(&format!("it is longer than {LINE_BYTES_MAX} bytes")));
            }
            let is_over = available.is_empty();
            line.write_all(part).map_err(|error| bad_file(error.to_string()))?;
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            self.position += used as u64;
            if is_over && line.0.is_empty() {
                return Ok(None);
            }
            if is_over || end.is_some() {
                return Ok(Some(line.0));
            }
        }
    }

    /// The next line as text, the same as before if it is read again.
    fn text(&mut self) -> Result<Zeroizing<String>> {
        let line = self.line()?.ok_or_else(|| self.refuse_line("lines are missing"))?;
        let tag = hmac::sign(&self.key, &line);
        match self.tags.get(self.number - 1) {
            None => self.tags.push(tag),
            Some(before) if before.as_ref() == tag.as_ref() => {}
            Some(_) => return Err(self.refuse_line("it has changed since it was read first")),
        }
        SecretText::from(line).0.ok_or_else(|| self.refuse_line("it is not Unicode"))
    }

    fn refuse_line(&self, why: &str) -> Error {
        bad_file(format!("line {}: {why}", self.number))
    }

    fn read_header(&mut self) -> Result<()> {
        let line = self.text()?;
        let found = lines::read_header(&line).map_err(|why| self.refuse_line(&why))?;
        if found != u64::from(FORMAT_VERSION) {
            let text = format!("the export has the format {found}, which this version cannot read");
            let found = u16::try_from(found).unwrap_or(u16::MAX);
            return Err(Error::new(ErrorKind::UnsupportedFormat { found, newest: FORMAT_VERSION }, text));
        }
        Ok(())
    }
}

/// Text out of a wiped buffer, without a copy.
struct SecretText(Option<Zeroizing<String>>);

impl From<Zeroizing<Vec<u8>>> for SecretText {
    fn from(mut line: Zeroizing<Vec<u8>>) -> Self {
        match String::from_utf8(std::mem::take(&mut *line)) {
            Ok(text) => Self(Some(Zeroizing::new(text))),
            Err(not_text) => {
                drop(Zeroizing::new(not_text.into_bytes()));
                Self(None)
            }
        }
    }
}

impl<R: BufRead + Seek> Source for Lines<'_, R> {
    fn next(&mut self) -> Result<Option<Portable>> {
        if self.number == 0 {
            self.read_header()?;
        }
        let text = self.text()?;
        match lines::read(&text).map_err(|why| self.refuse_line(&why))? {
            Line::Secret(portable) => {
                self.secrets += 1;
                self.versions += portable.values.len() as u64;
                Ok(Some(*portable))
            }
            Line::End { secrets, versions } if (secrets, versions) != (self.secrets, self.versions) => {
                Err(self.refuse_line("the counts are not those of the lines before"))
            }
            Line::End { .. } => match self.line()? {
                None => Ok(None),
                Some(_) => Err(self.refuse_line("something follows the end")),
            },
        }
    }

    fn rewind(&mut self) -> Result<()> {
        let failed = |error: io::Error| bad_file(format!("cannot read the export: {error}")).with_source(error);
        self.input.seek(SeekFrom::Start(self.start)).map_err(failed)?;
        (self.position, self.number, self.secrets, self.versions) = (0, 0, 0, 0);
        Ok(())
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn refuse(&self, why: &str) -> Error {
        self.refuse_line(why)
    }
}
