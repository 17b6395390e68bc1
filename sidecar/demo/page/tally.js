/** Counts the tokens of one answer, which have the numbers 1, 2, 3 ...; some may be missing or arrive twice. */
export class Tally {
  #seen = new Set();
  #highest = 0;
  twice = 0;
  /** Tokens of the whole answer, as its last event says; 0 before that. */
  total = 0;
  connections = 0;

  /** Count a token. Return whether it is new. */
  add(index) {
    if (this.#seen.has(index)) {
      this.twice += 1;
      return false;
    }
    this.#seen.add(index);
    this.#highest = Math.max(this.#highest, index);
    return true;
  }

  get tokens() { return this.#seen.size; }
  get missing() { return (this.total || this.#highest) - this.#seen.size; }
}

/** Write a tally into a row of the table. */
export function showTally(row, { tokens, missing, twice, connections }) {
  const numbers = [tokens, missing, twice, connections];
  [...row.querySelectorAll("td")].forEach((cell, at) => {
    cell.textContent = numbers[at];
    cell.classList.toggle("bad", (at === 1 || at === 2) && numbers[at] > 0);
  });
}
