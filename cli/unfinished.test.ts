import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('a command that waits for what nothing can bring about does not end as if it had succeeded', () => {
  const script = `
    require('commander').Command.prototype.parseAsync = () => new Promise(() => {});
    void require('./dist/cli/main.js').main(['node', 'ghostcard', 'doctor']);`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', script], {
    ...{ cwd: join(__dirname, '..'), encoding: 'utf8' },
  });
  expect(stderr).toBe(
    'ghostcard: This command has not finished, and waits for something that nothing can bring about.\n',
  );
  expect(status).toBe(125);
});
