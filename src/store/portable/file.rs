//! The file of an export: a header that says which key opens it, and a chain of sealed chunks that ends with their counts.
//!
//! Every chunk is bound to its export and to its place, and the last one says how many secrets there were, so that no
//! chunk can be changed, moved, left out, repeated or taken from another export unnoticed.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ring::digest;
use uuid::Uuid;

use crate::entropy::Entropy;
use crate::envelope::ad::{self, push_field};
use crate::envelope::open_export_key;
use crate::envelope::provider::{KEY_NAME_BYTES_MAX, KeyProvider, WRAPPED_KEY_BYTES_MAX, WrappedKey};
use crate::envelope::seal::{Label, SealingKey, sealed_len};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, NewFile};
use crate::model::portable::Portable;
use crate::records::codec::CodecError;
use crate::records::portable::{CHUNK_BYTES_MAX, Chunk, Counts, decode_chunk, end_chunk, secret_chunk, version_chunk};
use crate::store::portable::{Source, bad_file};

const MAGIC: &[u8; 8] = b"STRONGEX";
const FORMAT: u16 = 1;
const DIGEST_BYTES: usize = digest::SHA256_OUTPUT_LEN;

pub(super) fn failed(doing: &str, path: &Path) -> impl Fn(io::Error) -> Error {
    let text = format!("cannot {doing} `{}`", path.display());
    move |error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists | io::ErrorKind::InvalidInput => {
                ErrorKind::BackupFile
            }
            _ => ErrorKind::Storage,
        };
        Error::new(kind, format!("{text}: {error}")).with_source(error)
    }
}

/// Refuses to write where something is already.
pub(super) fn refuse_existing(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(bad_file(format!("`{}` is there already, and is not overwritten", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("write", path)(error)),
    }
}

/// What stands in front of the chunks.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) id: Uuid,
    pub(super) wrapped: WrappedKey,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let WrappedKey { provider, key_arn, key_version, blob } = &self.wrapped;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT.to_be_bytes());
        bytes.extend_from_slice(self.id.as_bytes());
        for field in [provider.as_bytes(), key_arn.as_bytes(), key_version.as_bytes(), blob] {
            push_field(&mut bytes, field);
        }
        let checksum = digest::digest(&digest::SHA256, &bytes);
        bytes.extend_from_slice(checksum.as_ref());
        bytes
    }
}

/// Reads a file and knows how far it has come.
#[derive(Debug)]
struct Counted {
    file: BufReader<File>,
    path: PathBuf,
    position: u64,
}

impl Counted {
    fn open(path: &Path) -> Result<Self> {
        let file = files::open_given(path).map_err(failed("read", path))?;
        Ok(Self { file: BufReader::new(file), path: path.to_owned(), position: 0 })
    }

    /// Fills the buffer. `None` if the file ends before.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<Option<()>> {
        match self.file.read_exact(buffer) {
            Ok(()) => {
                self.position += buffer.len() as u64;
                Ok(Some(()))
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(failed("read", &self.path)(error)),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<Option<[u8; N]>> {
        let mut array = [0; N];
        Ok(self.fill(&mut array)?.map(|()| array))
    }

    /// The next length-prefixed field. `None` if it is cut short or longer than `max`.
    fn field(&mut self, max: usize) -> Result<Option<Vec<u8>>> {
        let Some(length) = self.array()? else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > max {
            return Ok(None);
        }
        let mut field = vec![0; length];
        Ok(self.fill(&mut field)?.map(|()| field))
    }

    fn text(&mut self) -> Result<Option<String>> {
        Ok(self.field(KEY_NAME_BYTES_MAX)?.and_then(|field| String::from_utf8(field).ok()))
    }
}

/// An export whose header was read, and whose key is still wrapped.
#[derive(Debug)]
pub(super) struct ExportFile {
    input: Counted,
    header: Header,
}

impl ExportFile {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut input = Counted::open(path)?;
        let no_export = || bad_file(format!("`{}` is not an export", path.display()));
        let Some(magic) = input.array()? else { return Err(no_export()) };
        if magic != *MAGIC {
            return Err(no_export());
        }
        let damaged = || bad_file(format!("the header of `{}` is damaged or cut short", path.display()));
        let Some(format) = input.array()? else { return Err(damaged()) };
        let format = u16::from_be_bytes(format);
        if format != FORMAT {
            let text = format!("`{}` is an export of format {format}, which this version cannot read", path.display());
            return Err(Error::new(ErrorKind::UnsupportedFormat { found: format, newest: FORMAT }, text));
        }
        let mut header = || -> Result<Option<Header>> {
            let Some(id) = input.array()? else { return Ok(None) };
            let Some(provider) = input.text()? else { return Ok(None) };
            let Some(key_arn) = input.text()? else { return Ok(None) };
            let Some(key_version) = input.text()? else { return Ok(None) };
            let Some(blob) = input.field(WRAPPED_KEY_BYTES_MAX)? else { return Ok(None) };
            let header =
                Header { id: Uuid::from_bytes(id), wrapped: WrappedKey::new(provider, key_arn, key_version, blob) };
            let Some(checksum) = input.array::<DIGEST_BYTES>()? else { return Ok(None) };
            // The checksum is there to tell damage from a wrong key, which is all that an unwrapping could say.
            Ok(header.encode().ends_with(&checksum).then_some(header))
        };
        let header = header()?.ok_or_else(damaged)?;
        Ok(Self { input, header })
    }

    /// The chunks, with the key that `provider` unwraps.
    pub(super) fn unwrap(
        self,
        provider: &dyn KeyProvider,
        entropy: &dyn Entropy,
        versions_max: usize,
    ) -> Result<Chunks> {
        let key = open_export_key(provider, entropy, &self.header.id, &self.header.wrapped)?;
        self.unlock(SealingKey::new(key.expose()), versions_max)
    }

    /// The chunks, with a key that is known. A secret of more versions is refused.
    pub(super) fn unlock(self, key: SealingKey, versions_max: usize) -> Result<Chunks> {
        let Self { input, header } = self;
        let length = input.file.get_ref().metadata().map_err(failed("read", &input.path))?.len();
        Ok(Chunks {
            start: input.position,
            length,
            input,
            id: header.id,
            key,
            versions_max,
            index: 0,
            counts: Counts::default(),
        })
    }
}

/// The chunks of an export. Their key and their place are checked each time they are read, so that a file that is changed
/// between two readings is found out.
#[derive(Debug)]
pub(super) struct Chunks {
    input: Counted,
    id: Uuid,
    key: SealingKey,
    versions_max: usize,
    /// Where the first chunk begins.
    start: u64,
    length: u64,
    /// Number of the next chunk.
    index: u64,
    counts: Counts,
}

impl Chunks {
    /// What was read so far.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    fn chunk(&mut self) -> Result<Chunk> {
        let sealed = self.input.field(sealed_len(CHUNK_BYTES_MAX))?;
        let sealed = sealed.ok_or_else(|| self.refuse("it is cut short or damaged"))?;
        let ad = ad::export(FORMAT, &self.id, self.index);
        let opened = self.key.open(Label::Export, ad.as_bytes(), &sealed);
        let plaintext = opened.map_err(|error| {
            self.refuse("it is damaged, out of its place or from another export").with_source(error)
        })?;
        let chunk = decode_chunk(&plaintext).map_err(|error| match error {
            CodecError::UnknownVersion(found) => {
                Error::new(ErrorKind::UnsupportedFormat { found: found.into(), newest: FORMAT }, self.place())
            }
            CodecError::TooLarge | CodecError::Malformed => self.refuse("it cannot be decoded"),
        })?;
        self.index += 1;
        Ok(chunk)
    }

    fn place(&self) -> String {
        format!("`{}`, chunk {}", self.input.path.display(), self.index + 1)
    }
}

impl Source for Chunks {
    fn next(&mut self) -> Result<Option<Portable>> {
        let mut draft = match self.chunk()? {
            Chunk::Secret(draft) => draft,
            Chunk::Version(..) => return Err(self.refuse("a version has no secret")),
            Chunk::End(counts) if counts != self.counts => return Err(self.refuse("secrets are missing")),
            Chunk::End(_) => {
                let is_over = self.input.array::<1>()?.is_none();
                return if is_over { Ok(None) } else { Err(self.refuse("something follows the end")) };
            }
        };
        if draft.versions() > self.versions_max {
            return Err(too_many_versions(draft.arn(), self.versions_max));
        }
        while draft.missing() > 0 {
            let Chunk::Version(version, value) = self.chunk()? else {
                return Err(self.refuse("a version of a secret is missing"));
            };
            draft.push(version, value);
        }
        let portable =
            draft.finish().ok_or_else(|| self.refuse("a staging label is on a version that is not there"))?;
        self.counts.secrets += 1;
        self.counts.versions += portable.values.len() as u64;
        Ok(Some(portable))
    }

    fn rewind(&mut self) -> Result<()> {
        self.input.file.seek(SeekFrom::Start(self.start)).map_err(failed("read", &self.input.path))?;
        self.input.position = self.start;
        self.index = 0;
        self.counts = Counts::default();
        Ok(())
    }

    fn position(&self) -> u64 {
        self.input.position
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn refuse(&self, why: &str) -> Error {
        bad_file(format!("{}: {why}", self.place()))
    }
}

pub(super) fn too_many_versions(arn: &str, versions_max: usize) -> Error {
    Error::limit_exceeded(format!("{arn} has more than {versions_max} versions, which is the most for this store."))
}

/// An export that is being written.
#[derive(Debug)]
pub(super) struct Unfinished<'a> {
    file: BufWriter<File>,
    new: NewFile,
    id: Uuid,
    key: &'a SealingKey,
    index: u64,
}

impl<'a> Unfinished<'a> {
    pub(super) fn create(to: &Path, header: &Header, key: &'a SealingKey) -> Result<Self> {
        let new = NewFile::create(to).map_err(failed("write", to))?;
        let file = new.file().try_clone().map_err(failed("write", to))?;
        let mut unfinished = Self { file: BufWriter::new(file), new, id: header.id, key, index: 0 };
        unfinished.write(&header.encode())?;
        Ok(unfinished)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(failed("write", self.new.unfinished_path()))
    }

    fn write_chunk(&mut self, plaintext: &[u8], entropy: &dyn Entropy) -> Result<()> {
        let ad = ad::export(FORMAT, &self.id, self.index);
        let sealed = self.key.seal(Label::Export, ad.as_bytes(), plaintext, entropy)?;
        self.index += 1;
        let mut field = Vec::with_capacity(4 + sealed.len());
        push_field(&mut field, &sealed);
        self.write(&field)
    }

    pub(super) fn write_secret(&mut self, portable: &Portable, entropy: &dyn Entropy) -> Result<()> {
        self.write_chunk(&secret_chunk(&portable.secret)?, entropy)?;
        for (version, value) in portable.versions() {
            self.write_chunk(&version_chunk(version, value)?, entropy)?;
        }
        Ok(())
    }

    /// Writes the end, and makes the bytes durable.
    pub(super) fn finish(mut self, counts: &Counts, entropy: &dyn Entropy) -> Result<NewFile> {
        self.write_chunk(&end_chunk(counts)?, entropy)?;
        let Self { mut file, new, .. } = self;
        file.flush().and_then(|()| new.sync()).map_err(failed("write", new.unfinished_path()))?;
        Ok(new)
    }
}
