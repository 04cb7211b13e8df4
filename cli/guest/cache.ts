/** `ghostcard cache`: lists and removes what is in the cache. */
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import {
  cacheFolder,
  type CacheItem,
  cacheLimitBytes,
  explainCacheError,
  listCache,
  parseSize,
  pruneCache,
  type PruneOptions,
} from '../../qemu/provision';
import { UsageError } from '../common/errors';
import { formatBytes, formatTable, print } from '../common/output';

interface CacheOptions {
  readonly json?: true;
  readonly all?: true;
  readonly keep?: number;
  readonly unusedFor?: number;
}

export function cacheCommand(): Command {
  return new Command('cache')
    .description('List what is in the cache, or remove what is not in use.')
    .addArgument(new Argument('[action]').choices(['list', 'prune']).default('list'))
    .addOption(new Option('--all', 'prune: everything').conflicts(['keep', 'unusedFor']))
    .addOption(new Option('--keep <size>', 'prune: the least recently used, until this much is left').argParser(size))
    .addOption(
      new Option('--unused-for <days>', 'prune: what was not used for this long').argParser(days).conflicts('keep'),
    )
    .option('--json', 'print it as JSON')
    .action(async (action: 'list' | 'prune', options: CacheOptions) => {
      const isPruning = options.all ?? options.keep ?? options.unusedFor;
      if (action === 'list' && isPruning !== undefined) {
        throw new UsageError(
          '--all, --keep and --unused-for say what to remove: write "ghostcard cache prune" with them',
        );
      }
      const cacheDir = cacheFolder(process.env);
      const limitBytes = cacheLimitBytes(process.env);
      if (action === 'list') showItems(cacheDir, limitBytes, await listCache(cacheDir), options);
      else await prune(cacheDir, limitBytes, options);
    });
}

/** For the value of GHOSTCARD_CACHE_LIMIT; throws if it is no size. */
export const checkCacheLimit = (value: string): void => void cacheLimitBytes({ GHOSTCARD_CACHE_LIMIT: value });

function size(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined)
    throw new InvalidArgumentError('It must be a number with a unit (K, M, G, T), such as 500M or 2G.');
  return bytes;
}

function days(text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !(number >= 0)) throw new InvalidArgumentError('It must be a number of days.');
  return number;
}

const sumOf = (items: readonly CacheItem[]): number => items.reduce((sum, { bytes }) => sum + bytes, 0);

function showItems(cacheDir: string, limitBytes: number, items: readonly CacheItem[], { json }: CacheOptions): void {
  const bytes = sumOf(items);
  if (json) return print(JSON.stringify({ cacheDir, bytes, limitBytes, items }, undefined, 2));
  print(
    formatTable(
      [{ title: 'size', align: 'right' }, { title: 'last used' }, { title: 'what' }, { title: 'where' }],
      items.map(row),
    ),
  );
  print(`${formatBytes(bytes)} in ${cacheDir}; may grow to ${formatBytes(limitBytes)} (GHOSTCARD_CACHE_LIMIT)`);
}

const row = ({ bytes, lastUsed, inUse, description, name }: CacheItem): string[] => [
  formatBytes(bytes),
  inUse ? 'in use' : lastUsed.toISOString().replace('T', ' ').slice(0, 16),
  description,
  name,
];

const MS_PER_DAY = 86_400_000;

async function prune(
  cacheDir: string,
  limitBytes: number,
  { all, keep, unusedFor, json }: CacheOptions,
): Promise<void> {
  const what: PruneOptions = all
    ? { all }
    : unusedFor !== undefined
      ? { unusedSince: new Date(Date.now() - unusedFor * MS_PER_DAY) }
      : { keepBytes: keep ?? limitBytes };
  const { removed, inUse, freedBytes } = await pruneCache(cacheDir, what).catch((error: unknown) => {
    throw explainCacheError(error, cacheDir);
  });
  const left = sumOf(await listCache(cacheDir));
  if (json) return print(JSON.stringify({ cacheDir, removed, inUse, freedBytes, bytes: left }, undefined, 2));
  for (const { name, description } of removed) print(`removed  ${name}: ${description}`);
  for (const { name, description } of inUse) print(`in use   ${name}: ${description}`);
  print(`${formatBytes(freedBytes)} freed, ${formatBytes(left)} left in ${cacheDir}`);
}
