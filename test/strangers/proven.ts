/** The tables of docs/real-devices.md say what these tests have shown: each test looks its own row up. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { hostSuite } from '../../qemu/provision/packages/suite';
import { read } from '../support/documents';

export interface Proven {
  /** The section of the document. */
  readonly card: string;
  /** The driver, and what ran on it. */
  readonly driver: string;
  /** Of the driver, as Debian 12 has it; on another suite it is not compared. */
  readonly version: string;
  /** How the device was reached. */
  readonly way: string;
  readonly passed: string;
}

export function expectProven({ card, driver, version, way, passed }: Proven): void {
  const [, section = ''] = read('docs/real-devices.md').split(new RegExp(`^## ${card}$`, 'm'));
  const [own = ''] = section.split(/^## /m);
  const rows = own.split('\n').filter((line) => line.startsWith('|'));
  const cells = rows
    .map((row) => row.slice(1, -1).split('|'))
    .map((row) => row.map((cell) => cell.trim()))
    .filter(([first]) => first === driver);
  const isTables = hostSuite(readFileSync('/etc/os-release', 'utf8')).codename === 'bookworm';
  const wanted = isTables ? [driver, version, way, passed] : [driver, expect.any(String), way, passed];
  expect(cells, `the table in the section ${card} of docs/real-devices.md`).toContainEqual(wanted);
}
