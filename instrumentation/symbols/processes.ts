/**
 * Which process had which files in its memory, also of processes that have ended, and which kernel modules have been
 * loaded. Made from the guest's records.
 */
import { type Mapping, type ModuleSections, type ProcessRecord } from './process-records';

/** What a process has been between two calls of exec(). */
interface Program {
  name: string;
  readonly mappings: Mapping[];
}

interface Life {
  /** The latest last. */
  readonly programs: Program[];
  hasEnded: boolean;
}

export interface CodeInProcess {
  readonly pid: number;
  readonly name: string;
  /** Undefined if no file is known at the address. */
  readonly mapping: Mapping | undefined;
}

type Timed = Extract<ProcessRecord, { timeNs: bigint }>;

/** Beyond that, the ones that ended first are forgotten. */
const MAX_PROCESSES = 4_096;

export class Processes {
  /** Reported, but perhaps not everything of its time. */
  private waiting: Timed[] = [];
  private readonly lives = new Map<number, Life>();
  /** The processes of threads other than the first. */
  private readonly threads = new Map<number, number>();
  private readonly loaded: ModuleSections[] = [];
  private lost = 0n;

  add(record: ProcessRecord): void {
    if (record.kind === 'reported') this.applyUntil(record.untilNs);
    else if (record.kind === 'lost') this.lost += record.count;
    else if (record.kind === 'module') this.loaded.unshift(record.module);
    else this.waiting.push(record);
  }

  /** How many records the guest had to drop because nobody read them in time. */
  get lostRecords(): bigint {
    return this.lost;
  }

  /** The modules that are loaded or were, the latest first. */
  get modules(): readonly ModuleSections[] {
    return this.loaded;
  }

  /**
   * What a process has at an address: the latest program that it has run with a file there. `pid` may be that of a
   * thread. Undefined for a process that nothing is known of.
   */
  at(pid: number, address: bigint): CodeInProcess | undefined {
    const process = this.threads.get(pid) ?? pid;
    const programs = this.lives.get(process)?.programs ?? [];
    for (const { name, mappings } of programs.toReversed()) {
      const mapping = mappings.findLast(({ start, sizeBytes }) => start <= address && address < start + sizeBytes);
      if (mapping !== undefined) return { pid: process, name, mapping };
    }
    const last = programs.at(-1);
    return last && { pid: process, name: last.name, mapping: undefined };
  }

  private applyUntil(timeNs: bigint): void {
    const ready = this.waiting.filter((each) => each.timeNs <= timeNs);
    this.waiting = this.waiting.filter((each) => each.timeNs > timeNs);
    // Each processor's own are in order already.
    for (const each of ready.sort((a, b) => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0))) this.apply(each);
    this.forgetEnded();
  }

  private apply(record: Timed): void {
    switch (record.kind) {
      case 'forked':
        return this.fork(record);
      case 'named':
        if (record.isExec) this.begin(record.pid, { name: record.name, mappings: [] });
        // A thread may have a name of its own.
        else if (record.pid === record.tid) this.programOf(record.pid).name = record.name;
        return;
      case 'mapped':
        return void this.programOf(record.pid).mappings.push(record.mapping);
      case 'ended':
        if (record.pid === record.tid) this.lifeOf(record.pid).hasEnded = true;
    }
  }

  private fork({ pid, tid, parent }: Extract<Timed, { kind: 'forked' }>): void {
    if (pid !== tid) return void this.threads.set(tid, pid);
    this.threads.delete(pid);
    const { name, mappings } = this.programOf(parent);
    this.lives.delete(pid); // the number has been used before; the new process is the latest now
    this.begin(pid, { name, mappings: [...mappings] });
  }

  private begin(pid: number, program: Program): void {
    this.lifeOf(pid).programs.push(program);
  }

  private lifeOf(pid: number): Life {
    const life = this.lives.get(pid) ?? { programs: [], hasEnded: false };
    this.lives.set(pid, life);
    return life;
  }

  private programOf(pid: number): Program {
    const { programs } = this.lifeOf(pid);
    if (programs.length === 0) programs.push({ name: '', mappings: [] });
    return programs.at(-1)!;
  }

  private forgetEnded(): void {
    if (this.lives.size <= MAX_PROCESSES) return;
    const ended = [...this.lives].filter(([, { hasEnded }]) => hasEnded).map(([pid]) => pid);
    for (const pid of ended.slice(0, this.lives.size - MAX_PROCESSES)) this.lives.delete(pid);
  }
}
