/** Clients in files, each as JSON: those that have found something, and those that a fuzzer is unlikely to come upon. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Step } from './step';

const FOLDER = join(__dirname, 'corpus');

export interface KeptClient {
  readonly name: string;
  readonly steps: readonly Step[];
}

export const readClient = (path: string): KeptClient => ({
  name: basename(path, '.json'),
  steps: JSON.parse(readFileSync(path, 'utf8')) as Step[],
});

export const readCorpus = (): KeptClient[] =>
  readdirSync(FOLDER)
    .sort()
    .map((name) => readClient(join(FOLDER, name)));
