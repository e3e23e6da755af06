// Makes a page slow at random: its frames, timers, observers and answers come late.
(() => {
  const MOST_MS = 250;
  const later = window.setTimeout.bind(window);
  const ask = window.fetch.bind(window);
  const pause = () => Math.max(0, Math.random() * 1.4 - 0.4) * MOST_MS;
  const rest = () => new Promise((done) => later(done, 2 * pause()));

  window.setTimeout = (call, ms = 0, ...given) => later(call, ms + pause(), ...given);
  window.requestAnimationFrame = (call) => later(() => call(performance.now()), 16 + pause());
  window.cancelAnimationFrame = window.clearTimeout.bind(window);

  window.fetch = async (address, options) => {
    await rest();
    const answer = await ask(address, options);
    await rest();
    options?.signal?.throwIfAborted();
    return answer;
  };

  for (const name of ["ResizeObserver", "IntersectionObserver"]) {
    window[name] = class extends window[name] {
      constructor(call, options) {
        super((...seen) => later(() => this.isOver || call(...seen), pause()), options);
      }

      disconnect() {
        this.isOver = true;
        super.disconnect();
      }
    };
  }
})();
