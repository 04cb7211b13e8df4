/**
 * Ends of QEMU whose cause is known: QEMU itself prints only a condition. Each row is a limit in docs/limits.md.
 *
 * Source: QEMU hw/vfio-user/pci.c, hw/vfio/pci.c, hw/pci/msix.c, include/qemu/plugin.h, plugins/loader.c.
 */
interface KnownAbort {
  /** In QEMU's standard error. */
  readonly pattern: RegExp;
  readonly sentence: string;
  /** The heading in docs/limits.md, as a link names it. */
  readonly limit: string;
}

const UNOBSERVED = "The guest's processors cannot be observed (--observe, --check dma)";
const PLUGINS = 'observing-takes-a-qemu-with-plugins';

export const KNOWN_ABORTS: readonly KnownAbort[] = [
  {
    pattern: /memory_region_del_subregion: Assertion .*container == mr/,
    sentence:
      "QEMU was asked to delete a card's device (device_del over QMP, or the guest switched a slot off in its Slot " +
      'Control register), which it cannot for a card with MSI-X',
    limit: 'a-device-that-qemu-deletes',
  },
  {
    pattern: /msix_unset_vector_notifiers: Assertion .*msix_vector_use_notifier/,
    sentence:
      'The guest has had MSI and MSI-X of a function enabled at the same time, which PCI forbids, and has then cleared ' +
      'MSI-X Enable, which QEMU had released when MSI was enabled',
    limit: 'msi-enabled-while-msi-x-is-on',
  },
  {
    pattern: /error_setv: Assertion .*errp == NULL|failed to read header: EOF|Unable to write to socket: Broken pipe/,
    sentence:
      'The process that serves a card has ended while QEMU was plugging it in or waiting for its answer, which QEMU does ' +
      'not survive',
    limit: 'a-server-that-ends-in-the-middle-of-an-exchange',
  },
  {
    pattern: /-plugin.*: (?:plugin interface not enabled in this build|invalid option)/,
    sentence: `${UNOBSERVED}, since this QEMU is built without plugins (--disable-plugins)`,
    limit: PLUGINS,
  },
  {
    pattern: /Could not load plugin.*: plugin requires API version/,
    sentence: `${UNOBSERVED}, since this QEMU is another version than 11.1, and its plugins are others`,
    limit: PLUGINS,
  },
  {
    pattern: /Could not load plugin/,
    sentence: `${UNOBSERVED}, since QEMU cannot load the plugin that does it, for the reason below`,
    limit: PLUGINS,
  },
];

/** Why QEMU has aborted, as a sentence for people; undefined if that is not known. */
export function explainAbort(qemuStderr: string): string | undefined {
  const known = KNOWN_ABORTS.find(({ pattern }) => pattern.test(qemuStderr));
  return known && `${known.sentence}: see docs/limits.md#${known.limit}.`;
}
