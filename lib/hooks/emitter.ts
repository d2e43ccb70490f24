// What Node's tools ask of an emitter beside what eventemitter3 has, so that `once` and `on` of node:events take one.
import { EventEmitter } from 'eventemitter3';

/** As eventemitter3 keeps them: one, or a list of them. */
interface Kept {
  _events: Record<string | symbol, unknown>;
}

/** An emitter of eventemitter3 with the methods of Node's that it has not. */
export class NodeEmitter<Events extends EventEmitter.ValidEventTypes> extends EventEmitter<Events> {
  /** Without effect: there is no limit. */
  setMaxListeners(_count: number): this {
    return this;
  }

  getMaxListeners(): number {
    return Number.POSITIVE_INFINITY;
  }

  /** As {@link listeners}. */
  rawListeners<E extends EventEmitter.EventNames<Events>>(event: E): EventEmitter.EventListener<Events, E>[] {
    return this.listeners(event);
  }

  /** As {@link on}, before those that are there. */
  prependListener<E extends EventEmitter.EventNames<Events>>(
    event: E,
    listener: EventEmitter.EventListener<Events, E>,
  ): this {
    this.on(event, listener);
    return this.#lastFirst(event);
  }

  /** As {@link once}, before those that are there. */
  prependOnceListener<E extends EventEmitter.EventNames<Events>>(
    event: E,
    listener: EventEmitter.EventListener<Events, E>,
  ): this {
    this.once(event, listener);
    return this.#lastFirst(event);
  }

  // A list of its own: the old one may be what is being gone through.
  #lastFirst(event: string | symbol): this {
    const { _events: events } = this as unknown as Kept;
    const list = events[event];
    if (Array.isArray(list)) events[event] = [list.at(-1), ...list.slice(0, -1)];
    return this;
  }
}
