/**
 * `ghostcard provision`: finds or fetches QEMU and the software of guests, so that later starts need not.
 * `ghostcard kernel-build`: prints the folder to build kernel modules for the guest in.
 */
import { Command } from 'commander';
import { kernelBuild, provision, terminalProgress } from '../../qemu/provision';
import { interruption } from '../common/interruption';
import { print } from '../common/output';
import { addSoftwareOptions, type SoftwareOptions, softwareOf } from './software-options';

export function provisionCommand(): Command {
  const command = new Command('provision')
    .description('Find or fetch QEMU, and fetch and build what the guest needs, into the cache.')
    .option('--json', 'print the result as JSON');
  return addSoftwareOptions(command).action(async (options: SoftwareOptions & { json?: true }) => {
    const provisioned = await provision({
      ...softwareOf(options),
      signal: interruption(),
      onProgress: terminalProgress(),
    });
    if (options.json) return print(JSON.stringify(provisioned, undefined, 2));
    const { qemu, kernel, initramfsPath, cacheDir } = provisioned;
    print(`QEMU       ${qemu.version} (${qemu.origin})`);
    print(`kernel     ${kernel.release} (${kernel.origin})`);
    print(`initramfs  ${initramfsPath}`);
    print(`cache      ${cacheDir}`);
  });
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
