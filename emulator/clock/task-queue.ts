/** The tasks of a clock in the order of their due times, equals in the order in which they came: a binary heap. */
import { type ScheduledTask } from './clock';

interface Entry extends ScheduledTask {
  readonly dueNs: number;
  readonly order: number;
  task: (() => void) | undefined;
}

export class TaskQueue {
  readonly #heap: Entry[] = [];
  #order = 0;

  /** Due time of the next task that has not been cancelled, or undefined when there is none. */
  get nextDueNs(): number | undefined {
    while (this.#heap.length > 0 && this.#heap[0]!.task === undefined) this.#removeFirst();
    return this.#heap[0]?.dueNs;
  }

  add(dueNs: number, task: () => void): ScheduledTask {
    const entry: Entry = {
      dueNs,
      order: this.#order++,
      task,
      cancel() {
        this.task = undefined;
      },
    };
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
    return entry;
  }

  /** The sequence number of the next task that is added. */
  get nextOrder(): number {
    return this.#order;
  }

  /** Takes out the next task if it is due at `nowNs`, and came before the `beforeOrder`th. */
  takeDue(nowNs: number, beforeOrder = Infinity): (() => void) | undefined {
    const due = this.nextDueNs;
    if (due === undefined || due > nowNs || this.#heap[0]!.order >= beforeOrder) return undefined;
    const entry = this.#removeFirst();
    const { task } = entry;
    entry.task = undefined;
    return task;
  }

  #removeFirst(): Entry {
    const heap = this.#heap;
    const first = heap[0]!;
    const moved = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, moved)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moved;
    return first;
  }
}

const before = (a: Entry, b: Entry): boolean => a.dueNs < b.dueNs || (a.dueNs === b.dueNs && a.order < b.order);
