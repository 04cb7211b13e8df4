import { describe, expect, test } from 'vitest';
import { hostSuite } from './suite';

const osRelease = (id: string, codename: string, name: string): string =>
  `PRETTY_NAME="${name}"\nID=${id}\nVERSION_CODENAME=${codename}\n`;

describe("the host's suite", () => {
  test.each([
    ['bookworm', 'gcc-12', '6.1'],
    ['trixie', 'gcc-14', '6.12'],
  ])('%s has the compiler %s for the modules of its kernel %s', (codename, compiler, kernel) => {
    expect(hostSuite(osRelease('debian', codename, 'Debian'))).toEqual({ codename, compiler, kernel });
  });

  test.each([
    ['ubuntu', 'noble', 'Ubuntu 24.04'],
    ['debian', 'bullseye', 'Debian GNU/Linux 11'],
  ])('%s %s is refused by name, and the error says what to provide instead', (id, codename, name) => {
    expect(() => hostSuite(osRelease(id, codename, name))).toThrow(
      new RegExp(
        `this is ${name}, and packages are taken from Debian bookworm and trixie\nWhat to do: .*--export.*--import.*Containerfile.*--qemu.*--kernel.*--modules`,
      ),
    );
  });
});
