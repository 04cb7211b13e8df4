/** `ghostcard provision`: finds or fetches QEMU and the guest's software, so that later starts do not wait for it. */
import { Command } from 'commander';
import { provision, terminalProgress } from '../../provision';
import { interruption } from '../interruption';
import { addSoftwareOptions, type SoftwareOptions, softwareOf } from '../options';

export function provisionCommand(): Command {
  const command = new Command('provision')
    .description('Find or fetch QEMU, and fetch and build what the guest needs, into the cache.')
    .option('--json', 'print what there is as JSON');
  return addSoftwareOptions(command).action(async (options: SoftwareOptions & { json?: true }) => {
    const provisioned = await provision({
      ...softwareOf(options),
      signal: interruption(),
      onProgress: terminalProgress(),
    });
    if (options.json) return console.log(JSON.stringify(provisioned, undefined, 2));
    const { qemu, kernel, initramfsPath, cacheDir } = provisioned;
    console.log(`QEMU       ${qemu.version} (${qemu.origin})`);
    console.log(`kernel     ${kernel.release} (${kernel.origin})`);
    console.log(`initramfs  ${initramfsPath}`);
    console.log(`cache      ${cacheDir}`);
  });
}
