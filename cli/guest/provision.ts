/**
 * `ghostcard provision`: finds or fetches QEMU and the software of guests, so that later starts need not.
 * `ghostcard kernel-build`: prints the folder to build kernel modules for the guest in.
 */
import { Command, Option } from 'commander';
import { kernelBuild, provision, terminalProgress } from '../../qemu/provision';
import { type PackManifest } from '../../qemu/provision/packs/imported';
import { interruption } from '../common/interruption';
import { print } from '../common/output';
import { addSoftwareOptions, type SoftwareOptions, softwareOf } from './software-options';

interface ProvisionCommandOptions extends SoftwareOptions {
  readonly json?: true;
  readonly export?: string;
  readonly import?: string;
}

const PACK_EXAMPLE = `
A pack is used where it was imported before anything is fetched or built:
  npx ghostcard provision --export pack.tar.zst     # on a machine with Debian
  npx ghostcard provision --import pack.tar.zst     # on any Linux machine of the same architecture`;

export function provisionCommand(): Command {
  const command = new Command('provision')
    .description('Find or fetch QEMU, and fetch and build what the guest needs, into the cache.')
    .option('--json', 'print the result as JSON')
    .addOption(
      new Option(
        '--export <file>',
        'write all that guests need to a pack, for machines without apt, compiler or network',
      ),
    )
    .addOption(new Option('--import <file>', 'take a pack from another machine').conflicts('export'))
    .addHelpText('after', PACK_EXAMPLE);
  return addSoftwareOptions(command).action(async (options: ProvisionCommandOptions) => {
    const common = { signal: interruption(), onProgress: terminalProgress() };
    const provisioning = { ...softwareOf(options), ...common };
    if (options.import !== undefined || options.export !== undefined) {
      // Only here: the library for archives takes a while to load.
      const { exportPack, importPack } = await import('../../qemu/provision/pack.ts');
      if (options.import !== undefined) return showPack(await importPack(options.import, common), options);
      return showPack(await exportPack(options.export!, provisioning), options);
    }
    const provisioned = await provision(provisioning);
    if (options.json) return print(JSON.stringify(provisioned, undefined, 2));
    const { qemu, kernel, initramfsPath, cacheDir } = provisioned;
    print(`QEMU       ${qemu.version} (${qemu.origin})`);
    print(`kernel     ${kernel.release} (${kernel.origin})`);
    print(`initramfs  ${initramfsPath}`);
    print(`cache      ${cacheDir}`);
  });
}

function showPack({ description, version, parts }: PackManifest, { json }: { readonly json?: true }): void {
  const contents = parts.map(({ manifest }) => manifest.description);
  if (json) return print(JSON.stringify({ description, version, contents }, undefined, 2));
  print(description);
  for (const each of contents) print(`  ${each}`);
}

export function kernelBuildCommand(): Command {
  const command = new Command('kernel-build')
    .description("Print the folder to build modules for the guest's kernel in: make -C FOLDER M=$PWD modules.")
    .option('--json', 'print folder and release as JSON');
  return addSoftwareOptions(command)
    .addHelpText('after', '\nExample:\n  make -C "$(npx ghostcard kernel-build)" M="$PWD" modules')
    .action(async (options: SoftwareOptions & { json?: true }) => {
      const onProgress = terminalProgress();
      const build = await kernelBuild({ ...softwareOf(options), signal: interruption(), onProgress });
      print(options.json ? JSON.stringify(build, undefined, 2) : build.folder);
    });
}
