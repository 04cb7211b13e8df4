/**
 * Lets Node require TypeScript: the sources of ghostcard, and card files of users. Types are stripped, not checked (the
 * editor and `npm test` do that).
 *
 * The compiler takes a third of a second to load, and more to run. Its output is kept in the cache, keyed by all that it
 * depends on. A damaged, unwritable or missing cache costs time, and nothing else.
 */
'use strict';
const { createHash, randomBytes } = require('node:crypto');
const fs = require('node:fs');
const { homedir } = require('node:os');
const { dirname, isAbsolute, join, resolve } = require('node:path');

const FOLDER = 'transpiled';
/** About 15 MB. */
const MOST_FILES = 1200;

/** All that the output depends on, except the file itself. */
const OPTIONS = { target: 'es2022', module: 'commonjs', esModuleInterop: true, inlineSourceMap: true };
const { version } = require('typescript/package.json');
const RECIPE = JSON.stringify([1, version, OPTIONS]);

/** Modules that are required from here on may be TypeScript; stacks name the lines of the source. */
function acceptTypeScript() {
  process.setSourceMapsEnabled(true);
  const folder = cacheFolder();
  // As CommonJS also in a package of ES modules: Node's require takes those, and a card can be either.
  for (const extension of ['.ts', '.cts', '.mts']) {
    require.extensions[extension] = (module, path) => module._compile(javaScriptOf(path, folder), path);
  }
}

/** A file's JavaScript: from the cache `folder`, or compiled, and then put there. */
function javaScriptOf(path, folder) {
  const source = fs.readFileSync(path, 'utf8');
  const kept = folder && join(folder, `${sha256(`${RECIPE}\0${path}\0${source}`)}.js`);
  const found = kept && read(kept);
  if (found !== undefined) return found;
  const text = transpile(path, source);
  if (kept) write(kept, text);
  return text;
}

function transpile(path, source) {
  const ts = require('typescript');
  const { options } = ts.convertCompilerOptionsFromJson(OPTIONS, '/');
  const { outputText, diagnostics } = ts.transpileModule(source, {
    fileName: path,
    compilerOptions: options,
    reportDiagnostics: true,
  });
  if (diagnostics.length === 0) return outputText;
  const host = { getCanonicalFileName: String, getCurrentDirectory: () => process.cwd(), getNewLine: () => '\n' };
  throw new SyntaxError(ts.formatDiagnostics(diagnostics, host).trimEnd());
}

/** As qemu/provision/cache/folder.ts, which cannot be loaded yet. Undefined: there is none. */
function cacheFolder(env = process.env) {
  try {
    if (env.GHOSTCARD_CACHE) return join(resolve(env.GHOSTCARD_CACHE), FOLDER);
    if (env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME)) return join(env.XDG_CACHE_HOME, 'ghostcard', FOLDER);
    return isAbsolute(homedir()) ? join(homedir(), '.cache', 'ghostcard', FOLDER) : undefined;
  } catch {
    return undefined; // a user whom the system does not know
  }
}

/** A kept file begins with the checksum of the rest: a truncated program may still be a program. */
function read(file) {
  try {
    const text = fs.readFileSync(file, 'utf8');
    const end = text.indexOf('\n');
    const body = text.slice(end + 1);
    return text.slice(0, end) === `// ${sha256(body)}` ? body : undefined;
  } catch {
    return undefined;
  }
}

function write(file, body) {
  const folder = dirname(file);
  const temporary = `${file}.${randomBytes(4).toString('hex')}`;
  try {
    makeFolder(folder);
    dropOldest(folder);
    fs.writeFileSync(temporary, `// ${sha256(body)}\n${body}`);
    fs.renameSync(temporary, file);
  } catch {
    try {
      fs.rmSync(temporary, { force: true });
    } catch {
      // it is not there
    }
  }
}

/** One by one: Node's own way to make parents never returns in a file system that says ENOENT, such as /proc. */
function makeFolder(path) {
  if (fs.existsSync(path)) return;
  makeFolder(dirname(path));
  fs.mkdirSync(path, { mode: 0o700 });
}

/** When there are too many files, removes the older half. */
function dropOldest(folder) {
  const names = fs.readdirSync(folder);
  if (names.length < MOST_FILES) return;
  const made = names.map((name) => ({ name, ms: fs.statSync(join(folder, name)).mtimeMs }));
  made.sort((a, b) => a.ms - b.ms);
  for (const { name } of made.slice(0, MOST_FILES / 2)) fs.rmSync(join(folder, name), { force: true });
}

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

module.exports = { acceptTypeScript, javaScriptOf, cacheFolder };
