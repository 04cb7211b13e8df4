/** A kernel in the cache: Debian's image, and its modules, some of them rebuilt (kernel.ts). */
import path from 'node:path';
import { guestFacts } from '../basis/arch';
import { type Described, type Entry, type Ingredients } from '../cache/cache';
import { type Suite, SUITES } from '../packages/suite';
import { type Context } from './context';
import { moduleRecipe } from './kernel-modules';

const RECIPE = 5;

export interface KernelManifest extends Described {
  readonly release: string;
  /** The suite whose compiler built its modules, and the one that its packages are from, if not the host's. */
  readonly suite?: string;
  readonly origin?: string;
  readonly packages: Record<string, string>;
}

export type KernelEntry = Entry<KernelManifest>;

/** The key of everything that is made for this kernel: a newer release may replace it in the cache. */
export const kernelKey = ({ folder, manifest }: KernelEntry): Ingredients => ({
  entry: path.basename(folder),
  packages: manifest.packages,
});

export const kernelImage = (entry: KernelEntry): string => path.join(entry.folder, 'vmlinuz');
/** The folder of all modules, as /lib/modules/RELEASE is. */
export const kernelModules = (entry: KernelEntry): string => path.join(entry.folder, 'modules');
export const rebuiltSymbols = (entry: Pick<KernelEntry, 'folder'>): string => path.join(entry.folder, 'Module.symvers');
/** Private headers of the kernel, for guest-modules.ts. */
export const privateHeaders = (entry: Pick<KernelEntry, 'folder'>): string =>
  path.join(entry.folder, 'private-headers');
/** The downloaded packages for building modules (kernel-build.ts): mirrors remove superseded kernels. */
export const kernelPackages = (entry: Pick<KernelEntry, 'folder'>): string => path.join(entry.folder, 'packages');

/** The suite that a kernel, or its backport, belongs to. */
export const suiteOf = (context: Context, { manifest }: KernelEntry): Suite =>
  SUITES.find(({ codename }) => codename === manifest.suite) ?? context.suite();

/** The packages of the kernel of the host's own suite, by names that stay the same. */
export function ownPackages({ guestArch, kernelFlavour }: Context): string[] {
  const flavour = guestFacts(guestArch).kernelPackages[kernelFlavour];
  return [`linux-image-${flavour}:${guestArch}`, `linux-headers-${flavour}:${guestArch}`, 'linux-source'];
}

/** Known without a network: of another release, which suite has it is not part of the key. */
export function kernelIngredients(context: Context): Record<string, unknown> {
  const { otherRelease } = context;
  return {
    ...ingredientsAnywhere(context),
    suite: context.suite().codename,
    ...(otherRelease !== undefined && { release: otherRelease }),
  };
}

/** Of every suite of the host, and every release. */
const ingredientsAnywhere = (context: Context): Record<string, unknown> => ({
  recipe: RECIPE,
  hostArch: context.hostArch,
  packages: ownPackages(context),
  built: moduleRecipe(context.guestArch),
});

export function findKernel(context: Context): KernelEntry | undefined {
  const { askedRelease } = context;
  const packed = context.packed<KernelManifest>('kernel', ingredientsAnywhere(context), ({ manifest, ingredients }) =>
    askedRelease === undefined ? ingredients.release === undefined : manifest.release.startsWith(`${askedRelease}.`),
  );
  if (packed !== undefined) return packed;
  return context.cache.find<KernelManifest>('kernel', kernelIngredients(context));
}
