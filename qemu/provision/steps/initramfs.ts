/** Step `initramfs`: packs busybox, modules, agent and programs into the image that the kernel unpacks at boot. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { buildImage, guestModules, IMAGE_RECIPE, type ImageModule, imageScripts } from '../../guest-image';
import { type Described, type Entry } from '../cache/cache';
import { type Context } from './context';
import { type GuestToolsEntry, readGuestTools } from './guest-tools';
import { builtInModules, collectModules, describeModules } from './module-files';
import { findModules } from './kernel-modules';

export interface ImageSources {
  readonly busybox: string;
  readonly release: string;
  readonly guestTools: GuestToolsEntry;
  /** The folder of all its modules. */
  readonly modulesFolder: string | undefined;
  /** Modules beside these. */
  readonly ownModules: readonly string[];
  /** Identifies the state of the modules. */
  readonly modulesKey: unknown;
}

interface Manifest extends Described {
  readonly sizeBytes: number;
  readonly modules: readonly string[];
}

const initramfs = (entry: Entry<Manifest>): string => path.join(entry.folder, 'initramfs.cpio.gz');

function ingredients(context: Context, sources: ImageSources): Record<string, unknown> {
  const digest = createHash('sha256');
  for (const { guestPath, data } of imageScripts()) digest.update(guestPath).update(data);
  return {
    recipe: IMAGE_RECIPE,
    guestArch: context.guestArch,
    release: sources.release,
    modules: sources.modulesKey,
    busybox: createHash('sha256').update(readFileSync(sources.busybox)).digest('hex'),
    guestTools: path.basename(sources.guestTools.folder),
    scripts: digest.digest('hex'),
  };
}

export function findInitramfs(context: Context, sources: ImageSources): string | undefined {
  const entry = context.cache.find<Manifest>('initramfs', ingredients(context, sources));
  return entry === undefined ? undefined : initramfs(entry);
}

export async function buildInitramfs(context: Context, sources: ImageSources): Promise<string> {
  const progress = context.progress('initramfs');
  progress.report('packing');
  const entry = await context.cache.publish<Manifest>('initramfs', ingredients(context, sources), (folder) => {
    const { release, modulesFolder: all, ownModules } = sources;
    const files = [...(all === undefined ? [] : findModules(all)), ...ownModules];
    const modules: ImageModule[] = collectModules(guestModules(context.guestArch), files);
    const lists = all === undefined ? {} : { allModules: describeModules(all), builtIn: builtInModules(all) };
    const busybox = readFileSync(sources.busybox);
    const image = buildImage({ busybox, release, modules, ...lists, ...readGuestTools(sources.guestTools) });
    writeFileSync(path.join(folder, 'initramfs.cpio.gz'), image);
    const description = `guest image for kernel ${release} with ${modules.length} modules`;
    return Promise.resolve({ description, sizeBytes: image.length, modules: modules.map(({ name }) => name) });
  });
  progress.finish(`${(entry.manifest.sizeBytes / 1e6).toFixed(1)} MB`);
  return initramfs(entry);
}
