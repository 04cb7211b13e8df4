/**
 * What the driver's kernel uses a page of its memory for. Whoever runs the guest may know; a card knows addresses only.
 */
import { type Completion, type DmaInitiator, type DmaStage, type Word } from '../../emulator/memory';

/** Uses for which no driver gives memory to a card. */
export type PageUse =
  | ('free' | 'kernel code' | 'kernel constants' | 'firmware' | 'page table' | 'slab')
  | ('page cache' | 'another process');

export const PAGE_BYTES = 4096;

export interface PageFacts {
  /** What the page at an address that a card accesses is used for; undefined: anything else, or nothing is known. */
  useOf(iova: number): PageUse | undefined;
  /** The process that has written there last, if that is known. */
  processOf?(iova: number): number | undefined;
}

/** An access of a card to memory that no driver gives to a card. */
export interface StrayAccess {
  readonly by: DmaInitiator;
  readonly isRead: boolean;
  readonly iova: number;
  readonly sizeBytes: number;
  /** The first page of the access that is not a driver's. */
  readonly page: number;
  readonly use: PageUse;
  /** The process that has written to that page last, if that is known. */
  readonly process?: number;
}

/**
 * The stage right above memory. It looks at the pages before they are accessed: afterwards the driver may have seen what the
 * card has written, and have given the memory back, rightly so.
 */
export class PageStage implements DmaStage {
  #use: PageUse | undefined;

  constructor(
    private readonly below: DmaStage,
    private readonly pages: PageFacts,
    /** Called when the access has been made. */
    private readonly onStray: (access: StrayAccess) => void,
    /** Called for each page of which nothing bad is known. */
    private readonly onUsed: (page: number) => void,
  ) {}

  read(by: DmaInitiator, iova: number, into: Uint8Array): Completion {
    const page = this.#strayPage(iova, into.length);
    const completion = this.below.read(by, iova, into);
    if (page >= 0) this.#report(by, true, iova, into.length, page);
    return completion;
  }

  write(by: DmaInitiator, iova: number, from: Uint8Array): Completion {
    const page = this.#strayPage(iova, from.length);
    const completion = this.below.write(by, iova, from);
    if (page >= 0) this.#report(by, false, iova, from.length, page);
    return completion;
  }

  store(by: DmaInitiator, iova: number, value: Word): Completion {
    const sizeBytes = typeof value === 'bigint' ? 8 : 4;
    const page = this.#strayPage(iova, sizeBytes);
    const completion = this.below.store(by, iova, value);
    if (page >= 0) this.#report(by, false, iova, sizeBytes, page);
    return completion;
  }

  #report(by: DmaInitiator, isRead: boolean, iova: number, sizeBytes: number, page: number): void {
    const process = this.pages.processOf?.(page);
    this.onStray({ by, isRead, iova, sizeBytes, page, use: this.#use!, ...(process !== undefined && { process }) });
  }

  /** The address of the first page that is not a driver's, whose use is then `#use`; -1 if there is none. */
  #strayPage(iova: number, sizeBytes: number): number {
    for (let page = iova - (iova % PAGE_BYTES); page < iova + sizeBytes; page += PAGE_BYTES) {
      const use = this.pages.useOf(page);
      if (use !== undefined) {
        this.#use = use;
        return page;
      }
      this.onUsed(page);
    }
    return -1;
  }
}
