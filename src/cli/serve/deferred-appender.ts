import { PromhiveError } from '../../base/errors.ts'
import type { Appender } from '../../model/appender.ts'

/** An appender that may be handed out before the storage is open. Until `open` is called it refuses, as a storage that is down does. */
export class DeferredAppender implements Appender {
  #appender: Appender | null = null
  become(appender: Appender): void {
    this.#appender = appender
  }
  #opened(): Appender {
    if (this.#appender === null) throw new PromhiveError('UNAVAILABLE', 'cannot append: the storage is not open yet')
    return this.#appender
  }
  open: Appender['open'] = (labels) => this.#opened().open(labels)
  openBytes: Appender['openBytes'] = (labels) => this.#opened().openBytes(labels)
  release: Appender['release'] = (handle) => this.#opened().release(handle)
  append: Appender['append'] = (batch) => this.#opened().append(batch)
}
