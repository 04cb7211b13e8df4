/**
 * An engine that is at work for a driver that goes. It need not access memory any more to be reported: it may wait for
 * data, or Bus Master Enable was cleared under it, as the kernel does for a process that ends (VFIO, uio_pci_generic). That
 * may also be the way in which a driver brings a card back: if it accesses the card afterwards, nothing is reported.
 */
import { wordBytes, wordTime } from '../../trace';
import { type Check } from '../check';

interface Engine {
  /** It has said that it is running; undefined while it does not. */
  sinceNs: number | undefined;
  /** Its last access to host memory since a reset; no bytes: none. */
  isRead: boolean;
  iova: number;
  sizeBytes: number;
}

/** What is known of engines when Bus Master Enable is cleared, or found out after. */
interface Cut {
  readonly timeNs: number;
  /** The count then; a further one is of a driver that goes on. */
  readonly accesses: number;
  /** Those at work, and their last access. */
  readonly engines: Map<string, string>;
}

const CURE =
  'Stop the engine, and wait until it has stopped, before memory is given back and Bus Master Enable is cleared, ' +
  'however the driver ends';

export const leftAtWork: Check = {
  doc: 'An engine is still at work when the driver goes, or was when Bus Master Enable was cleared at the end.',
  source: 'Linux Documentation/PCI/pci.rst, "Stop all DMA operations": stop the device, then pci_clear_master()',
  make({ traffic, report }) {
    /** By channel. */
    const engines = new Map<string, Engine>();
    let isMaster = false;
    let isDecoded = false;
    let cut: Cut | undefined;
    /** The count of accesses when the driver went; a further one is of a driver that has come. */
    let accessesLeft = -1;

    const engineOf = (channel: string): Engine => {
      let engine = engines.get(channel);
      if (engine === undefined) {
        engine = { sinceNs: undefined, isRead: false, iova: 0, sizeBytes: 0 };
        engines.set(channel, engine);
      }
      return engine;
    };
    /** Engines that run and use memory; a part that runs without is no engine. */
    const atWork = (): [string, Engine][] =>
      [...engines].filter(([, { sinceNs, sizeBytes }]) => sinceNs !== undefined && sizeBytes > 0);
    const hasDriver = (): boolean => accessesLeft !== traffic.accesses;
    const isCut = (): boolean => cut !== undefined && cut.accesses === traffic.accesses && cut.engines.size > 0;

    return {
      dma({ kind, channel, iova, sizeBytes, error }) {
        const engine = engineOf(channel);
        const isRead = kind === 'dma-read';
        if (error === undefined) Object.assign(engine, { isRead, iova, sizeBytes });
        // A write may be the last of what was under way; what reads has not ended.
        else if (error === 'bus-master-off' && isRead && engine.sizeBytes > 0)
          cut?.engines.set(channel, lastOf(engine));
      },
      state({ part, state }, timeNs) {
        if (part === 'memory decode') isDecoded = state === 'on';
        else if (part === 'bus master') {
          isMaster = state === 'on';
          // Cleared along with memory decode: Linux resets the function.
          const { accesses } = traffic;
          const running = atWork().map(([channel, engine]) => [channel, lastOf(engine)] as const);
          cut = isMaster || !isDecoded ? undefined : { timeNs, accesses, engines: new Map(running) };
        } else engineOf(part).sinceNs = state === 'running' ? timeNs : undefined;
      },
      reset: () => engines.clear(),
      isUnsettled: () => hasDriver() && (isMaster ? atWork().length > 0 : isCut()),
      driverLeft(what) {
        if (!hasDriver()) return;
        accessesLeft = traffic.accesses;
        if (isMaster) {
          for (const [channel, engine] of atWork()) {
            const since = wordTime(engine.sinceNs!).trim();
            report(
              channel,
              () =>
                `${channel} is still at work although ${what}: it is running since ${since}, ${lastOf(engine)}. ${CURE}`,
            );
          }
        } else if (isCut()) {
          const { timeNs, engines } = cut!;
          const when = `when Bus Master Enable was cleared at ${wordTime(timeNs).trim()}`;
          for (const [channel, last] of engines) {
            report(
              channel || 'DMA',
              () => `${channel || 'the card'} was still at work ${when}, ${last}; then ${what}. ${CURE}`,
            );
          }
        }
      },
    };
  },
};

const lastOf = ({ isRead, iova, sizeBytes }: Engine): string =>
  `its last access ${isRead ? 'a read' : 'a write'} of ${wordBytes(sizeBytes)} at 0x${iova.toString(16)}`;
