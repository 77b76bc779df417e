// What stands in the filter: a comparison such as `accuracy > 0.93 and branch ~ "feat"`, read by hand and never run as
// code. `parse` returns a function from a row to true or false, or throws an Error whose message is for the reader.
const Expression = (() => {
  const TOKEN = /\s*(?:(\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?)|"([^"]*)"|'([^']*)'|`([^`]*)`|([\p{L}_][\p{L}\p{N}_.:/@-]*)|(>=|<=|==|!=|<>|!~|&&|\|\||[-+*/()<>=~!,]))/uy;
  const MOST = 500; // parts: nesting costs the stack of the browser

  const tokens = (text) => {
    const found = [];
    TOKEN.lastIndex = 0;
    while (text.slice(TOKEN.lastIndex).trim() !== "") {
      const at = TOKEN.lastIndex;
      const part = TOKEN.exec(text);
      if (!part) throw new Error(`What is meant by '${text.slice(at).trim().slice(0, 20)}'?`);
      const [, number, double, single, quoted, word, sign] = part;
      if (number !== undefined) found.push({ kind: "value", value: Number(number), text: number });
      else if (double !== undefined || single !== undefined) found.push({ kind: "value", value: double ?? single, text: double ?? single });
      else if (quoted !== undefined) found.push({ kind: "name", text: quoted });
      else if (word !== undefined) found.push({ kind: "word", text: word });
      else found.push({ kind: "sign", text: sign });
      if (found.length > MOST) throw new Error("This filter is too long.");
    }
    return found;
  };

  const isMissing = (value) => value === null || value === undefined || Number.isNaN(value);
  const ordered = (a, b) => {
    if (isMissing(a) || isMissing(b)) return undefined;
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === "number" || typeof b === "number") {
      const [x, y] = [Number(a), Number(b)];
      return Number.isNaN(x) || Number.isNaN(y) ? undefined : x - y;
    }
    const [x, y] = [String(a), String(b)];
    return x < y ? -1 : x > y ? 1 : 0;
  };
  const same = (a, b) => {
    if (isMissing(a) || isMissing(b)) return isMissing(a) && isMissing(b);
    if (typeof a === "string" && typeof b === "string") return a.toLowerCase() === b.toLowerCase();
    if (typeof a === "boolean" || typeof b === "boolean") return String(a).toLowerCase() === String(b).toLowerCase();
    return ordered(a, b) === 0;
  };
  const holds = (a, b) => !isMissing(a) && String(a).toLowerCase().includes(String(b).toLowerCase());
  const COMPARE = {
    ">": (a, b) => ordered(a, b) > 0, "<": (a, b) => ordered(a, b) < 0,
    ">=": (a, b) => ordered(a, b) >= 0, "<=": (a, b) => ordered(a, b) <= 0,
    "=": same, "==": same, "!=": (a, b) => !same(a, b), "<>": (a, b) => !same(a, b),
    "~": holds, "!~": (a, b) => !holds(a, b),
  };
  const number = (value) => (typeof value === "number" ? value : NaN);
  const ARITHMETIC = {
    "+": (a, b) => number(a) + number(b), "-": (a, b) => number(a) - number(b),
    "*": (a, b) => number(a) * number(b), "/": (a, b) => number(a) / number(b),
  };
  const WORDS = { and: "and", "&&": "and", ",": "and", or: "or", "||": "or", not: "not", "!": "not" };

  // `find` returns the function that gets a name's value from a row, or throws.
  const parse = (text, find) => {
    const list = tokens(text);
    let at = 0;
    const meant = () => {
      const next = list[at];
      if (!next || (next.kind !== "sign" && next.kind !== "word")) return "";
      return Object.hasOwn(WORDS, next.text.toLowerCase()) ? WORDS[next.text.toLowerCase()] : "";
    };
    const sign = (...wanted) => (list[at]?.kind === "sign" && wanted.includes(list[at].text) ? list[at++].text : "");

    const either = () => {
      let left = both();
      while (meant() === "or") { at++; const [a, b] = [left, both()]; left = (row) => a(row) || b(row); }
      return left;
    };
    const both = () => {
      let left = negated();
      while (meant() === "and") { at++; const [a, b] = [left, negated()]; left = (row) => a(row) && b(row); }
      return left;
    };
    const negated = () => {
      if (meant() !== "not") return compared();
      at++;
      const inner = negated();
      return (row) => !inner(row);
    };
    const compared = () => {
      const left = sum();
      const how = sign(">=", "<=", "==", "!=", "<>", "!~", "=", "~", ">", "<");
      if (!how) return left;
      const right = sum(true);
      return (row) => COMPARE[how](left(row), right(row));
    };
    const sum = (bare) => {
      let left = product(bare);
      for (let how; (how = sign("+", "-")); ) { const [a, b, act] = [left, product(bare), ARITHMETIC[how]]; left = (row) => act(a(row), b(row)); }
      return left;
    };
    const product = (bare) => {
      let left = atom(bare);
      for (let how; (how = sign("*", "/")); ) { const [a, b, act] = [left, atom(bare), ARITHMETIC[how]]; left = (row) => act(a(row), b(row)); }
      return left;
    };
    // `bare`: a word at the right that names no column is a text, as in `optimizer = adam`.
    const atom = (bare) => {
      if (sign("-")) { const inner = atom(bare); return (row) => -number(inner(row)); }
      if (sign("(")) {
        const inner = either();
        if (!sign(")")) throw new Error("A bracket is not closed.");
        return inner;
      }
      const next = list[at++];
      if (!next) throw new Error("Something is missing at the end.");
      if (next.kind === "value") return () => next.value;
      if (next.kind === "sign") throw new Error(`'${next.text}' stands where a name or a number should.`);
      const word = next.text.toLowerCase();
      if (next.kind === "word" && (word === "true" || word === "false")) return () => word === "true";
      if (next.kind === "word" && (word === "none" || word === "null")) return () => null;
      try {
        return find(next.text);
      } catch (error) {
        if (bare && next.kind === "word") return () => next.text;
        throw error;
      }
    };

    const found = either();
    if (at < list.length) throw new Error(`'${list[at].text}' is one too many: join conditions with 'and' or 'or'.`);
    return (row) => found(row) === true || (typeof found(row) !== "boolean" && !isMissing(found(row)) && found(row) !== "" && found(row) !== 0);
  };

  return { parse, looksLikeOne: (text) => /[<>=~]/.test(text) };
})();
