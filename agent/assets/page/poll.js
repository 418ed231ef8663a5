// Asks again and again, while somebody looks.

const EVERY = 5000;
const AFTER_FAILURE = 2000;

export class Poll {
  #timer = null;
  #busy = false;
  #again = false;
  #paused = false;

  // `task` asks and shows; `told` hears whether that worked.
  constructor(task, told) {
    this.task = task;
    this.told = told;
    document.addEventListener("visibilitychange", () => {
      if (!this.#paused) this.now();
    });
  }

  get paused() {
    return this.#paused;
  }

  set paused(paused) {
    this.#paused = paused;
    if (!paused) this.now();
  }

  // At once; what is under way is not what was asked for, perhaps, so once more after it.
  async now() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    let pause = EVERY;
    try {
      await this.task();
      this.told(null);
    } catch (error) {
      pause = AFTER_FAILURE;
      this.told(error);
    }
    this.#busy = false;
    if (this.#again) {
      this.#again = false;
      this.now();
    } else if (!this.#paused) {
      this.#timer = setTimeout(() => this.now(), pause);
    }
  }
}
