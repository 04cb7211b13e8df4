/**
 * A separate apt root: its configuration, state and downloads are in one folder, so that packages of any suite can be
 * resolved and fetched without root and without changes to the host's apt. apt checks signatures against the host's
 * Debian keyring. Only local settings of the host's configuration, such as a proxy, are kept.
 *
 * Source: apt.conf(5), apt-get(8), sources.list(5); APT's README.progress-reporting for the status lines.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ProvisionError } from '../basis/errors';
import { type StepProgress } from '../basis/progress';
import { runTool } from '../basis/tools';

export interface AptRootOptions {
  readonly folder: string;
  readonly mirror: string;
  readonly suites: readonly string[];
  /** The first one is the host's. */
  readonly architectures: readonly string[];
  /**
   * Package names (with or without " (= version)") that count as installed: those that the host has, or that are not
   * needed.
   */
  readonly provided?: readonly string[];
  /** The suite that is preferred over the others. */
  readonly targetSuite?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface PackageFile {
  /** apt's file name: `name_version_arch.deb`, with the version's colon as %3a. */
  readonly fileName: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal, from the signed package lists. */
  readonly sha256?: string;
}

const KEYRINGS = ['debian-archive-keyring.gpg', 'debian-archive-keyring.pgp'].map(
  (name) => `/usr/share/keyrings/${name}`,
);
const DOWNLOAD_CURE =
  'check the network, then run again: downloaded files are kept. If this machine uses an unusual mirror, ' +
  'set GHOSTCARD_MIRROR to the address of a full Debian mirror; if a signature is unknown, update the package debian-archive-keyring';

export function aptConfiguration(options: AptRootOptions): string {
  const { folder, architectures, targetSuite } = options;
  return [
    `Dir::State "${folder}/state";`,
    `Dir::State::status "${folder}/status";`,
    `Dir::Cache "${folder}/cache";`,
    `Dir::Log "${folder}";`,
    `Dir::Etc::sourcelist "${folder}/sources.list";`,
    ...['sourceparts', 'preferences', 'preferencesparts', 'trusted', 'trustedparts'].map(
      (name) => `Dir::Etc::${name} "/dev/null";`,
    ),
    `APT::Architecture "${architectures[0]}";`,
    '#clear APT::Architectures;',
    `APT::Architectures { ${architectures.map((arch) => `"${arch}";`).join(' ')} };`,
    `APT::Default-Release "${targetSuite ?? ''}";`,
    'APT::Install-Recommends "false";',
    'APT::Install-Suggests "false";',
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    'Acquire::PDiffs "false";',
    'Acquire::Retries "3";',
    ...['APT::Update::Pre-Invoke', 'APT::Update::Post-Invoke', 'APT::Update::Post-Invoke-Success'].map(
      (hook) => `#clear ${hook};`,
    ),
    ...['DPkg::Pre-Invoke', 'DPkg::Post-Invoke', 'DPkg::Pre-Install-Pkgs'].map((hook) => `#clear ${hook};`),
    '',
  ].join('\n');
}

/** A dpkg status file with one package, which provides everything that need not be fetched. */
export function statusFile(provided: readonly string[]): string {
  if (provided.length === 0) return '';
  return [
    'Package: ghostcard-host',
    'Status: install ok installed',
    'Version: 1',
    'Architecture: all',
    // Packages of every architecture may depend on it.
    'Multi-Arch: foreign',
    'Maintainer: ghostcard',
    'Description: what the host has and what a guest does not need',
    `Provides: ${provided.join(', ')}`,
    '',
  ].join('\n');
}

/** Parses the output of `apt-get install --print-uris`: lines of `'uri' file-name size hash`. */
export function parsePrintedUris(text: string): PackageFile[] {
  return [...text.matchAll(/^'[^']*' (\S+\.deb) (\d+)(?: SHA256:([0-9a-f]{64}))?/gm)].map(
    ([, fileName = '', size, sha256]) => ({
      fileName,
      sizeBytes: Number(size),
      ...(sha256 === undefined ? {} : { sha256 }),
    }),
  );
}

/** The percentage in a status line about a download; undefined for any other line. */
export function parseDownloadStatus(line: string): number | undefined {
  const match = /^dlstatus:[^:]*:([0-9.]+):/.exec(line);
  return match === null ? undefined : Number(match[1]);
}

/** Package versions from file names, for the manifest. */
export function versionsOf(files: readonly PackageFile[]): Record<string, string> {
  return Object.fromEntries(
    files.map(({ fileName }) => {
      const [name = fileName, version = ''] = fileName.split('_');
      return [name, decodeURIComponent(version)];
    }),
  );
}

export class AptRoot {
  readonly #options: AptRootOptions;
  readonly #archives: string;
  #updated: Promise<void> | undefined;

  constructor(options: AptRootOptions) {
    this.#options = options;
    this.#archives = path.join(options.folder, 'cache/archives');
  }

  /** Fetches the package lists, once per object. */
  async update(progress: StepProgress): Promise<void> {
    this.#updated ??= this.#fetchLists(progress);
    await this.#updated;
  }

  /** The package lists' descriptions of all packages whose names match, as `apt-cache show` prints them. */
  async describe(names: string, progress: StepProgress): Promise<string> {
    await this.update(progress);
    const attempted = `looking for packages in ${this.#options.suites.join(' and ')}`;
    const found = await this.#apt(['search', '--names-only', names], { attempted }, 'apt-cache');
    const packages = found.split('\n').flatMap((line) => /^\S+/.exec(line)?.[0] ?? []);
    return packages.length === 0 ? '' : await this.#apt(['show', ...packages], { attempted }, 'apt-cache');
  }

  /** The files needed for `packages`, including dependencies. */
  async resolve(packages: readonly string[]): Promise<PackageFile[]> {
    const noArchives = path.join(this.#options.folder, 'nothing');
    mkdirSync(path.join(noArchives, 'partial'), { recursive: true });
    const printed = await this.#apt(
      [
        '-qq',
        '--print-uris',
        '-o',
        'Acquire::ForceHash=SHA256',
        '-o',
        `Dir::Cache::archives=${noArchives}`,
        'install',
        ...packages,
      ],
      { attempted: `resolving the packages ${packages.join(', ')}` },
    );
    return parsePrintedUris(printed);
  }

  /** Downloads `packages` with their dependencies, and reuses complete and partial files of earlier attempts. */
  async download(packages: readonly string[], progress: StepProgress): Promise<PackageFile[]> {
    await this.update(progress);
    const files = await this.resolve(packages);
    this.#removeDamaged(files);
    const totalBytes = sum(files.map(({ sizeBytes }) => sizeBytes));
    const missing = sum(files.filter((file) => !existsSync(this.pathOf(file))).map(({ sizeBytes }) => sizeBytes));
    const what = `downloading ${countOf(files)}`;
    const report = (percent: number): void =>
      progress.report(what, { doneBytes: totalBytes - missing * (1 - percent / 100), totalBytes });
    report(0);
    await this.#apt(['-qq', '-y', '--download-only', '-o', 'APT::Status-Fd=3', 'install', ...packages], {
      attempted: what,
      onStatusLine: (line) => {
        const percent = parseDownloadStatus(line);
        if (percent !== undefined) report(percent);
      },
    });
    report(100);
    return files;
  }

  pathOf(file: PackageFile): string {
    return path.join(this.#archives, file.fileName);
  }

  async unpack(files: readonly PackageFile[], folder: string, progress: StepProgress): Promise<void> {
    mkdirSync(folder, { recursive: true });
    const totalBytes = sum(files.map(({ sizeBytes }) => sizeBytes));
    let doneBytes = 0;
    for (const file of files) {
      progress.report(`unpacking ${countOf(files)}`, { doneBytes, totalBytes });
      await runTool('dpkg-deb', ['-x', this.pathOf(file), folder], {
        attempted: `unpacking ${file.fileName}`,
        cure: `check the free space in ${folder}; if the file is damaged, remove ${this.pathOf(file)} and run again`,
        signal: this.#options.signal,
      });
      doneBytes += file.sizeBytes;
    }
  }

  /** Removes the downloaded files, once they are unpacked. */
  removeDownloads(): void {
    if (!existsSync(this.#archives)) return;
    for (const name of readdirSync(this.#archives)) {
      if (name.endsWith('.deb')) rmSync(path.join(this.#archives, name));
    }
  }

  /** apt checks what it downloads, but accepts a complete file of an earlier run by its size alone. */
  #removeDamaged(files: readonly PackageFile[]): void {
    for (const file of files) {
      const archive = this.pathOf(file);
      if (file.sha256 === undefined || !existsSync(archive)) continue;
      if (createHash('sha256').update(readFileSync(archive)).digest('hex') !== file.sha256) rmSync(archive);
    }
  }

  async #fetchLists(progress: StepProgress): Promise<void> {
    const { folder, suites, mirror } = this.#options;
    const keyring = KEYRINGS.find((file) => existsSync(file));
    if (keyring === undefined) {
      throw new ProvisionError({
        attempted: "looking for Debian's signing keys",
        seen: `none of ${KEYRINGS.join(', ')} exists`,
        cure: 'apt-get install debian-archive-keyring',
      });
    }
    for (const sub of ['state/lists/partial', 'cache/archives/partial']) {
      mkdirSync(path.join(folder, sub), { recursive: true });
    }
    const sources = suites.map((suite) => `deb [signed-by=${keyring} target=Packages] ${mirror} ${suite} main\n`);
    writeFileSync(path.join(folder, 'sources.list'), sources.join(''));
    writeFileSync(path.join(folder, 'status'), statusFile(this.#options.provided ?? []));
    writeFileSync(path.join(folder, 'apt.conf'), aptConfiguration(this.#options));
    const what = `fetching the package lists of ${suites.join(' and ')}`;
    const attempted = `${what} from ${mirror}`;
    await progress.during(what, () => this.#apt(['-qq', '-o', 'APT::Update::Error-Mode=any', 'update'], { attempted }));
  }

  async #apt(
    args: string[],
    run: { attempted: string; onStatusLine?: (line: string) => void },
    program: 'apt-get' | 'apt-cache' = 'apt-get',
  ): Promise<string> {
    return await runTool(program, ['-c', path.join(this.#options.folder, 'apt.conf'), ...args], {
      ...run,
      cure: DOWNLOAD_CURE,
      signal: this.#options.signal,
    });
  }
}

const countOf = ({ length }: readonly PackageFile[]): string => `${length} ${length === 1 ? 'package' : 'packages'}`;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
