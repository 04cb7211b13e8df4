/** The cards that come with ghostcard, as `--card NAME` makes them: an entry for each folder beside this file. */
import { type CardEnvironment, type PciCard } from '../pci';
import { AxiDmaCard, type AxiDmaCardOptions } from './axi-dma';
import { IoatCard, type IoatCardOptions } from './ioat';
import { PciEndpointTestCard, type PciEndpointTestCardOptions } from './pci-endpoint-test';
import { ReferenceCard, type ReferenceCardOptions } from './reference';
import { XdmaCard, type XdmaCardOptions } from './xdma';

/** What each option takes, for messages; and the options inside an option. */
export interface OptionHelp {
  readonly [name: string]: string | OptionHelp;
}

export interface BuiltInCard {
  /** As 'ghostcard' exports it. */
  readonly className: string;
  /** Receives the options of the command line: a wrong value is a CardDefinitionError. */
  readonly make: (options: CardEnvironment & Record<string, unknown>) => PciCard;
  readonly options: OptionHelp;
}

/** Exactly the options that are the card's own. */
type HelpFor<Options> = Record<Exclude<keyof Options, keyof CardEnvironment>, string | OptionHelp>;

const LINK = { bytesPerSecond: 'a number', completionLatencyNs: 'a number' };

export const BUILT_IN_CARDS: Readonly<Record<string, BuiltInCard>> = {
  'reference': {
    className: 'ReferenceCard',
    make: (options) => new ReferenceCard(options),
    options: {
      addressBits: 'a number from 24 to 64',
      wrapsAtBits: 'a number from 12 to 64',
      lengthBits: 'a number from 1 to 32',
      coherent: 'on or off',
      mapMemory: 'on or off',
      link: LINK,
    } satisfies HelpFor<ReferenceCardOptions>,
  },
  'ioat': {
    className: 'IoatCard',
    make: (options) => new IoatCard(options),
    options: {
      channels: 'a number from 1 to 16',
      version: '3.2, 3.3 or 3.4',
      transferBits: 'a number from 12 to 31',
      msixVectors: 'a number from 0 to 16',
      msi: 'on or off',
      intx: 'on or off',
      wrapsAtBits: 'a number from 12 to 64',
      lengthBits: 'a number from 1 to 32',
      losesInterrupts: 'on or off',
      link: LINK,
    } satisfies HelpFor<IoatCardOptions>,
  },
  'xdma': {
    className: 'XdmaCard',
    make: (options) => new XdmaCard(options),
    options: {
      h2cChannels: 'a number from 1 to 4',
      c2hChannels: 'a number from 1 to 4',
      userInterrupts: 'a number from 1 to 16',
      streaming: 'on or off',
      user: 'a number of bytes, a power of two',
      bypass: 'on or off',
      memoryBytes: 'a number of bytes, a power of two',
      barBits: '32 or 64',
      deviceId: 'a number',
      intx: 'on or off',
      msiVectors: 'a number: 0, 1, 2, 4, 8, 16 or 32',
      msix: 'on or off',
      alignment: 'a number: 1, 2, 4, 8, 16, 32 or 64',
      wrapsAtBits: 'a number from 12 to 64',
      lengthBits: 'a number from 1 to 28',
      link: LINK,
    } satisfies HelpFor<Omit<XdmaCardOptions, 'sink' | 'source'>>,
  },
  'axi-dma': {
    className: 'AxiDmaCard',
    make: (options) => new AxiDmaCard(options),
    options: {
      scatterGather: 'on or off',
      lengthBits: 'a number from 8 to 26',
      addressBits: 'a number from 32 to 64',
      wrapsAtBits: 'a number from 12 to 64',
      coherent: 'on or off',
      bufferBytes: 'a number of bytes, a multiple of 4096',
      clockMhz: 'a number from 1 to 1000',
      link: LINK,
    } satisfies HelpFor<Omit<AxiDmaCardOptions, 'stream'>>,
  },
  'pci-endpoint-test': {
    className: 'PciEndpointTestCard',
    make: (options) => new PciEndpointTestCard(options),
    options: {
      msiVectors: '0, 1, 2, 4, 8, 16 or 32',
      msixVectors: 'a number from 0 to 2048',
      intx: 'on or off',
      dma: 'on or off',
      wrapsAtBits: 'a number from 12 to 64',
      lengthBits: 'a number from 1 to 32',
      mapMemory: 'on or off',
      link: LINK,
    } satisfies HelpFor<PciEndpointTestCardOptions>,
  },
};
