/** `ghostcard provision`: finds or fetches QEMU and the software of guests, so that later starts need not. */
import { Command } from 'commander';
import { provision, terminalProgress } from '../../qemu/provision';
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
