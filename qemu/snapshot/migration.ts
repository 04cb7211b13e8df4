/**
 * Saves a stopped machine to a file and restores it, with QEMU's migration.
 *
 * The file has the mapped-ram format: each page of guest memory has a fixed offset, and zero pages are holes. So its
 * size and the time to restore it depend on how much memory the guest has used.
 *
 * Source: QEMU docs/devel/migration/mapped-ram.rst, qapi/migration.json.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type QmpClient, QmpConnectionError, type QmpEvent, QmpTimeoutError, type QmpWait } from '../qmp';

/** Time limit for reading or writing all of a guest's memory on a slow and busy disk. */
const MIGRATION_TIMEOUT_MS = 60_000;
const RELEASE_TIMEOUT_MS = 10_000;
const RELEASE_LOOK_MS = 2;

/**
 * Writes the machine to `file`. It must be stopped (QMP `stop`) and stays stopped; even after a failure it can
 * continue.
 */
export async function saveMachine(qmp: QmpClient, file: string, limit?: QmpWait): Promise<void> {
  await prepare(qmp);
  await qmp.execute('migrate-set-parameters', { 'max-bandwidth': Number.MAX_SAFE_INTEGER });
  try {
    await settled(qmp, 'save the machine', () => qmp.execute('migrate', { uri: `file:${file}` }), limit);
  } catch (error) {
    if (error instanceof QmpTimeoutError) await cancel(qmp);
    throw error;
  }
  await untilReleased(qmp);
}

/** A migration that completes later would stop the machine again. */
async function cancel(qmp: QmpClient): Promise<void> {
  await Promise.all([qmp.execute('migrate_cancel'), outcome(qmp, { timeoutMs: RELEASE_TIMEOUT_MS })]);
}

/** The machine can only continue shortly after the migration has completed, and there is no event for that. */
async function untilReleased(qmp: QmpClient): Promise<void> {
  const deadlineMs = performance.now() + RELEASE_TIMEOUT_MS;
  for (;;) {
    const { status } = await qmp.execute<{ status: string }>('query-status');
    if (status === 'postmigrate') return;
    if (performance.now() > deadlineMs) {
      throw new QmpConnectionError(
        `QEMU has saved the machine but is still in the state '${status}' after ${RELEASE_TIMEOUT_MS} ms`,
      );
    }
    await delay(RELEASE_LOOK_MS);
  }
}

/** Restores a machine that was started with `-incoming defer` from `file`. It is stopped afterwards. */
export async function loadMachine(qmp: QmpClient, file: string): Promise<void> {
  await prepare(qmp);
  await settled(qmp, 'restore the machine', () => qmp.execute('migrate-incoming', { uri: `file:${file}` }));
}

function prepare(qmp: QmpClient): Promise<unknown> {
  const capabilities = ['mapped-ram', 'events'].map((capability) => ({ capability, state: true }));
  return qmp.execute('migrate-set-capabilities', { capabilities });
}

const OUTCOMES: unknown[] = ['completed', 'failed', 'cancelled'];

function outcome(qmp: QmpClient, { timeoutMs = MIGRATION_TIMEOUT_MS }: QmpWait = {}): Promise<QmpEvent> {
  return qmp.waitForEvent('MIGRATION', { timeoutMs, where: ({ data }) => OUTCOMES.includes(data['status']) });
}

async function settled(qmp: QmpClient, what: string, begin: () => Promise<unknown>, limit?: QmpWait): Promise<void> {
  // The refusal of a command comes first: what was not begun has no outcome, not even when it is cancelled.
  const ended = outcome(qmp, limit);
  ended.catch(() => undefined);
  await begin();
  const { data } = await ended;
  if (data['status'] === 'completed') return;
  const { 'error-desc': why } = await qmp.execute<{ 'error-desc'?: string }>('query-migrate');
  throw new QmpConnectionError(`QEMU could not ${what}: ${why ?? String(data['status'])}`);
}
