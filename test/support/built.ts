/** Before the first test: `dist`, which the command line and what is installed are. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const BUILD = join(__dirname, '../../packaging/build.ts');

export default function setUp(): void {
  execFileSync('npx', ['ts-node', '-T', BUILD, '--if-old'], { stdio: 'inherit' });
}
