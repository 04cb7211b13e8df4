/**
 * Makes unpacked programs run with the libraries that were unpacked with them, when these are of another suite than the
 * host's, whose C library they do not fit: each program is replaced by a script that starts it through its own loader.
 *
 * Source: ld.so(8); QEMU's packages are started in the same way (qemu.ts).
 */
import { chmodSync, closeSync, existsSync, lstatSync, openSync, readSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type HostArch, hostFacts } from '../basis/arch';
import { ProvisionError } from '../basis/errors';
import { filesBelow } from '../basis/host-files';

/** Where packages have programs. */
export const PROGRAM_FOLDERS = ['usr/bin', 'usr/lib', 'usr/libexec'];

/** A program NAME becomes this file beside the script NAME. */
const PROGRAM = '.elf';
const ELF_MAGIC = '\x7fELF';

/**
 * Replaces the programs below `folders`, which are relative to `root`. Everything may be moved together afterwards.
 * @throws ProvisionError if the loader is not among the files
 */
export function useOwnLibraries(root: string, folders: readonly string[], hostArch: HostArch): void {
  const { triplet, loader } = hostFacts(hostArch);
  const libraries = ['usr/lib', 'lib']
    .map((place) => path.join(root, place, triplet))
    .filter((each) => existsSync(each));
  const ownLoader = libraries.map((folder) => path.join(folder, loader)).find((each) => existsSync(each));
  if (ownLoader === undefined) {
    throw new ProvisionError({
      attempted: `looking for the program loader among the packages in ${root}`,
      seen: `there is no ${loader}`,
      cure: "Debian's packages have changed; please report it. Meanwhile use a kernel of this machine's own suite",
    });
  }
  for (const folder of folders.map((each) => path.join(root, each)).filter((each) => existsSync(each))) {
    for (const program of filesBelow(folder).map((name) => path.join(folder, name))) {
      if (!isProgram(program)) continue;
      const fromHere = (file: string): string => `"$here/${path.relative(path.dirname(program), file)}"`;
      renameSync(program, program + PROGRAM);
      const script = [
        '#!/bin/sh',
        '# Runs the program beside it with its own libraries.',
        'self=$0',
        '[ -L "$self" ] && self=$(readlink -f "$self")',
        'here=${self%/*}',
        `exec ${fromHere(ownLoader)} --library-path ${libraries.map(fromHere).join(':')} --argv0 "$self" "$self${PROGRAM}" "$@"`,
        '',
      ].join('\n');
      writeFileSync(program, script);
      chmodSync(program, 0o755);
    }
  }
}

/** An ELF file that may be executed; shared libraries may not. */
function isProgram(file: string): boolean {
  if ((lstatSync(file).mode & 0o100) === 0 || /\.so(\.|$)/.test(file)) return false;
  const fd = openSync(file, 'r');
  try {
    const start = Buffer.alloc(ELF_MAGIC.length);
    readSync(fd, start);
    return start.toString('latin1') === ELF_MAGIC;
  } finally {
    closeSync(fd);
  }
}
