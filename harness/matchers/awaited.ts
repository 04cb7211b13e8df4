/**
 * A matcher that waits reports nothing until it is awaited. A test that forgets to await it would pass whatever the card
 * does, so it fails instead.
 */
import { type TestContext } from 'vitest';

/** The `this` of a matcher. Outside of tests, as in hooks, there is no task. */
interface MatcherState {
  readonly task?: { readonly context: Pick<TestContext, 'onTestFinished'> } | undefined;
}

/** The matcher, with a result that notices whether it is awaited. */
export function mustBeAwaited<Args extends unknown[], Result>(
  name: string,
  matcher: (...args: Args) => Promise<Result>,
): (this: MatcherState, ...args: Args) => Promise<Result> {
  return function called(...args) {
    const forgotten = new Error(`${name} was not awaited: write 'await expect(…).${name}(…)'.`);
    Error.captureStackTrace(forgotten, called);
    let isAwaited = false;
    this.task?.context.onTestFinished(({ task }) => {
      if (!isAwaited && task.result?.state !== 'fail') throw forgotten;
    });
    const result = matcher(...args);
    // Vitest calls `then` first, and gives its result to the test.
    const then: Promise<Result>['then'] = (...handlers) => noticing(result.then(...handlers), () => (isAwaited = true));
    return { then } as Promise<Result>;
  };
}

/** Not a native promise: `await` does not call the `then` of one. */
function noticing<T>(promise: Promise<T>, notice: () => void): Promise<T> {
  promise.catch(() => {}); // one that is not awaited is reported as such, and only once
  return {
    then: (...handlers) => (notice(), promise.then(...handlers)),
    catch: (handler) => (notice(), promise.catch(handler)),
    finally: (handler) => (notice(), promise.finally(handler)),
    [Symbol.toStringTag]: 'Promise',
  };
}
