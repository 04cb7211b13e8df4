/** Card files like those of users, for tests that start processes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The line of the file on which `body` begins. */
export const BODY_LINE = 8;

/**
 * Writes a card's file. Register GO is at offset 0 of BAR0, and writing it calls `go`, a method in the class body `body`;
 * the constructor calls `made`, if it has one.
 */
export function writeCardFile(file: string, body: string): string {
  const library = join(__dirname, '..', '..', 'dist', 'emulator', 'index.js');
  writeFileSync(
    file,
    `const { PciCard, registerMap } = require(${JSON.stringify(library)});
module.exports = class PlantedCard extends PciCard {
  constructor(environment) {
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0x120000, intx: 'A' }, environment);
    this.registerBar(0, registerMap({ GO: { offset: 0, access: 'rw' } })).onWrite('GO', () => this.go());
    this.made?.();
  }
  ${body}
};
`,
  );
  return file;
}
