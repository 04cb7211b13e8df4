/**
 * Binutils' addr2line, which is there wherever gcc is: functions and lines of addresses, from a file's DWARF or its
 * symbols. It reads files of other architectures too, and the debug files of Debian's -dbgsym packages, which it finds by
 * build id.
 *
 * Source: addr2line(1).
 */
import { spawn } from 'node:child_process';

/** One function at an address. Of several, each is inlined into the next. */
export interface Frame {
  readonly function?: string;
  /** As the compiler has noted it. */
  readonly file?: string;
  readonly line?: number;
}

/** There is no addr2line on this machine. */
export class NoAddr2lineError extends Error {
  constructor() {
    super('there is no addr2line on this machine: apt-get install binutils');
  }
}

const COMMAND = 'addr2line';
/** With --addresses, each answer begins with the address. */
const ADDRESS = /^0x[0-9a-f]+$/;

/**
 * The functions at addresses of a file, as the linker has given them; innermost first. @throws NoAddr2lineError
 */
export async function addr2line(file: string, addresses: readonly bigint[]): Promise<readonly Frame[][]> {
  const options = ['--functions', '--inlines', '--demangle', '--addresses', `--exe=${file}`];
  const input = addresses.map((address) => `0x${address.toString(16)}\n`).join('');
  return parseFrames(await run(options, input));
}

function run(options: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(COMMAND, options, { stdio: ['pipe', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    child.stdin.on('error', () => {}); // it has ended early, which its exit code says
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'ENOENT' ? new NoAddr2lineError() : error),
    );
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(output).toString());
      else reject(new Error(`${COMMAND} ${options.join(' ')}: ${Buffer.concat(errors).toString().trim()}`));
    });
    child.stdin.end(input);
  });
}

/** After the address, two lines for each function: its name, and FILE:LINE. `??` stands for what is not known. */
function parseFrames(output: string): Frame[][] {
  const frames: Frame[][] = [];
  const lines = output.split('\n');
  for (let at = 0; at < lines.length - 1;) {
    if (ADDRESS.test(lines[at]!)) {
      frames.push([]);
      at++;
      continue;
    }
    frames.at(-1)?.push(frameOf(lines[at]!, lines[at + 1] ?? ''));
    at += 2;
  }
  return frames;
}

function frameOf(name: string, place: string): Frame {
  const [, file = '??', line = '?'] = /^(.*):(\d+|\?)( \(discriminator \d+\))?$/.exec(place) ?? [];
  return {
    ...(name !== '??' && { function: name }),
    ...(file !== '??' && { file }),
    ...(file !== '??' && Number(line) > 0 && { line: Number(line) }),
  };
}
