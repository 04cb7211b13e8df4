/**
 * Writes as PCI Express has them: posted (PCI Express Base Spec 5.0, 2.4). A card never learns that one did not arrive, so an
 * engine that does not check by other means goes on as if it had.
 */
import { Completion, DmaError, type DmaPort, PendingCompletion } from '../memory';

/** A port whose writes always end well, and are lost where host memory refuses them. Reads fail as before. */
export class PostedPort implements DmaPort {
  constructor(private readonly port: DmaPort) {}

  read(iova: number, into: Uint8Array): Completion {
    return this.port.read(iova, into);
  }

  write(iova: number, from: Uint8Array): Completion {
    try {
      return posted(this.port.write(iova, from));
    } catch (error) {
      return lost(error);
    }
  }

  write32(iova: number, value: number): Completion {
    try {
      return posted(this.port.write32(iova, value));
    } catch (error) {
      return lost(error);
    }
  }

  write64(iova: number, value: bigint): Completion {
    try {
      return posted(this.port.write64(iova, value));
    } catch (error) {
      return lost(error);
    }
  }
}

function posted(write: Completion): Completion {
  if (write.isDone) return write;
  const end = new PendingCompletion();
  write.onSettled(
    () => end.finish(),
    (error) => (error instanceof DmaError ? end.finish() : end.fail(error)),
  );
  return end;
}

function lost(error: unknown): Completion {
  if (error instanceof DmaError) return Completion.DONE;
  throw error;
}
