/**
 * A matcher that waits says nothing until it is awaited: a test that forgets to, would pass whatever the card does. It
 * fails instead.
 */
import { type TestContext } from 'vitest';

/** What Vitest gives a matcher as `this`; no task outside of tests, as in hooks. */
interface MatcherState {
  readonly task?: { readonly context: Pick<TestContext, 'onTestFinished'> } | undefined;
}

/** The matcher, with a result that notices whether somebody waits for it. */
export function mustBeAwaited<Args extends unknown[], Result>(
  name: string,
  matcher: (...args: Args) => Promise<Result>,
): (this: MatcherState, ...args: Args) => Promise<Result> {
  return function called(...args) {
    const forgotten = new Error(`Nobody has waited for ${name}: write 'await expect(…).${name}(…)'.`);
    Error.captureStackTrace(forgotten, called);
    let isAwaited = false;
    this.task?.context.onTestFinished(({ task }) => {
      if (!isAwaited && task.result?.state !== 'fail') throw forgotten;
    });
    const result = matcher(...args);
    // Vitest asks first; what it gets back is what it gives to the test.
    const then: Promise<Result>['then'] = (...handlers) => noticing(result.then(...handlers), () => (isAwaited = true));
    return { then } as Promise<Result>;
  };
}

/** Not a true promise: `await` asks such a one without anybody's notice. */
function noticing<T>(promise: Promise<T>, notice: () => void): Promise<T> {
  promise.catch(() => {}); // one that is forgotten is reported as such, and only once
  return {
    then: (...handlers) => (notice(), promise.then(...handlers)),
    catch: (handler) => (notice(), promise.catch(handler)),
    finally: (handler) => (notice(), promise.finally(handler)),
    [Symbol.toStringTag]: 'Promise',
  };
}
