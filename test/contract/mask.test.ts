import { deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { visible } from "../../commands/diff/present/escape";
import { ConnectError } from "../../contract/errors";
import { knownSecrets, Masker, Opaque } from "../../contract/mask";
import { harmless } from "../../contract/mask/harmless";
import { Placeholders, UNKNOWN } from "../../contract/mask/placeholders";

const SECRET = "Canary-Horse.42";
const masker = new Masker([], [SECRET]);
const blank = new Masker([], []);

describe("a known secret", () => {
  const spellings: Record<string, string> = {
    plainly: `before ${SECRET} after`,
    "in a URL": `nats://noetl:${SECRET}@nats:4222`,
    "in base64": Buffer.from(SECRET).toString("base64"),
    "in base64 of a longer text, at each place": ["", "x", "xy", "xyz"]
      .map((before) => Buffer.from(`${before}user:${SECRET}@host`).toString("base64"))
      .join(" "),
    "in JSON": JSON.stringify({ a: { b: SECRET } }),
  };
  it.each(Object.entries(spellings))("is hidden %s", (_where, text) => {
    const masked = masker.text(text);
    expect(masked).toContain("(secret)");
    expect(masked).not.toContain(SECRET);
    // Nor does what is left decode to it.
    for (const word of masked.split(/[^A-Za-z0-9+/=]+/)) {
      expect(Buffer.from(word, "base64").toString("latin1")).not.toContain(SECRET.slice(3, -3));
    }
  });

  it("is hidden when it is percent-encoded or escaped", () => {
    const odd = 'p@ss w/"quotes"';
    const hides = new Masker([], [odd]);
    expect(hides.text(`x=${encodeURIComponent(odd)}`)).toBe("x=(secret)");
    // The quote that ends the text may be one of the secret, written twice.
    expect(hides.text(JSON.stringify(odd))).toMatch(/^"\(secret\)"?$/);
  });

  describe("whose signs are not all of ASCII", () => {
    const odd = "Grüße-äöü-Ende-42";
    const hides = new Masker([], [odd]);
    const everyByte = (text: string): string =>
      [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");

    it.each([
      ["as it is", "", ""],
      ["before a sign that is cut off", "", "%C3"],
      ["behind the end of one", "%A4", ""],
      ["behind what is no UTF-8", "%FF", "%e2%82"],
      ["behind a sign of Latin-1", "%e4", ""],
    ])("is hidden in a URL %s", (_where, before, after) => {
      expect(hides.text(`x=${before}${everyByte(odd)}${after}`)).toMatch(/^x=\(secret\)$/);
    });
  });

  describe("as bytes in hex", () => {
    const hex = Buffer.from(SECRET).toString("hex");
    const packed = deflateSync(`password: ${SECRET}`).toString("hex");

    it.each<readonly [string, string]>([
      ["with dots between", hex.match(/../g)?.join(".") ?? ""],
      ["with low lines between", hex.match(/../g)?.join("_") ?? ""],
      ...["ab_", "00.", "deadbeef_", "trace_", "sess.de_", "x_00_"].flatMap((before) => [
        [`behind ${before}`, before + hex] as const,
        [`packed, behind ${before}`, before + packed] as const,
      ]),
    ])("is hidden %s", (_where, text) => {
      const masked = masker.text(`id ${text} end`);
      expect(masked).toMatch(/^id .*\(secret\) end$/);
      expect(masked).not.toMatch(/[0-9a-f]{16}/);
    });

    const text = `add it, be it: 2026 deed ${SECRET} add up\nbe fed: add ${SECRET}\n`;
    const lines = (width: number, line: (bytes: Buffer, at: string, shown: string) => string): string =>
      Array.from({ length: Math.ceil(text.length / width) }, (_, row) => {
        const bytes = Buffer.from(text.slice(row * width, (row + 1) * width));
        return line(bytes, (row * width).toString(16).padStart(8, "0"), bytes.toString().replaceAll("\n", "."));
      }).join("\n");
    const grouped = (bytes: Buffer, size: number): string =>
      (bytes.toString("hex").match(new RegExp(`.{1,${size * 2}}`, "g")) ?? []).join(" ");

    it.each<readonly [string, string]>([
      ["hexdump -C", lines(16, (bytes, at, shown) => `${at}  ${grouped(bytes, 1)}  |${shown}|`)],
      ...[1, 2, 4, 8].map((size) => {
        const wide = grouped(Buffer.alloc(16), size).length;
        const dump = lines(16, (bytes, at, shown) => `${at}: ${grouped(bytes, size).padEnd(wide)}  ${shown}`);
        return [`xxd -g ${size}`, dump] as const;
      }),
      ["od -A x -t x1z", lines(16, (bytes, at, shown) => `${at.slice(2)} ${grouped(bytes, 1)}  >${shown}<`)],
      ["a tab behind the place", lines(16, (bytes, at) => `${at}\t${grouped(bytes, 1)} `)],
    ])("is hidden in lines of a dump: %s", (_how, dump) => {
      const masked = masker.text(`before\n${dump}\nafter`);
      expect(masked).toContain("(secret)");
      expect(masked).not.toContain(grouped(Buffer.from("Horse"), 1).slice(3));
      expect(masked.replace(/[^0-9a-f]/g, "")).not.toContain(Buffer.from("Horse").toString("hex"));
      expect(masked).toMatch(/^before\n[^]*\nafter$/);
    });
  });

  it("does not hide ordinary words that happen to be secrets", () => {
    expect(new Masker([], ["noetl", "postgres", "true"]).text("postgres serves noetl: true")).toBe(
      "postgres serves noetl: true",
    );
  });

  it.each(["base64", "hex"] as const)(
    "with signs above U+FFFF is hidden in UTF-32 of both orders, in %s",
    (written) => {
      const hides = new Masker([], ["swordfish\u{1f600}\u{1f40e}1"]);
      const utf32 = (text: string): Buffer =>
        Buffer.from(Uint32Array.from([...text], (sign) => sign.codePointAt(0) ?? 0).buffer);
      const text = "a\n\u{1f40e}swordfish\u{1f600}\u{1f40e}1\nb";
      for (const bytes of [utf32(text), utf32(text).swap32(), utf32("\u{1f600}").swap32()])
        expect(hides.text(`x ${bytes.toString(written)} y`)).toBe(
          bytes.length > 4 ? "x (secret) y" : `x ${bytes.toString(written)} y`,
        );
    },
  );

  it("with many lines is hidden line by line", () => {
    const key = "-----BEGIN KEY-----\nQUJDREVGR0hJSktMTU5PUA\n-----END KEY-----";
    expect(new Masker([], [key]).text("found QUJDREVGR0hJSktMTU5PUA here")).toBe("found (secret) here");
  });
});

describe("without knowing it, a secret is hidden", () => {
  it.each([
    ["in a URL", "postgres://bob:hunter2@db/x", "postgres://bob:(secret)@db/x"],
    ["in an assignment", "user: bob, password: hunter2", "user: bob, password: (secret)"],
    ["in JSON", '{"apiKey": "abc def", "n": 1}', '{"apiKey": (secret), "n": 1}'],
    [
      "under a short name",
      "user: a, pass: hunter2, DB_PASS=x9, --db-pwd=y8",
      "user: a, pass: (secret), DB_PASS=(secret), --db-pwd=(secret)",
    ],
    [
      "under a joined name",
      "DBPASS=x9, dbpass: y8, a.REDISPASS=z7",
      "DBPASS=(secret), dbpass: (secret), a.REDISPASS=(secret)",
    ],
    ["under one in JSON", '{"DBPASS":"hunter22x"}', '{"DBPASS":(secret)}'],
    ["in Redis' configuration", "requirepass hunter22x\nport 6379", "requirepass (secret)\nport 6379"],
    ["in an argument", "--auth-token=abc --port=1", "--auth-token=(secret) --port=1"],
    ["that looks like a variable", "password: $ecret42", "password: (secret)"],
    ["that goes on after a reference", "password: $(A)bc", "password: (secret)"],
    ["of which a known part is hidden", `token=${SECRET}42`, "token=(secret)"],
    [
      "in a private key of PGP",
      "-----BEGIN PGP PRIVATE KEY BLOCK-----\nabc\n-----END PGP PRIVATE KEY BLOCK-----\nx",
      "(secret)\nx",
    ],
    ["in a token of GitHub", `pull ghp_${"aB3".repeat(12)} now`, "pull (secret) now"],
    ["in a token of Slack", `x xoxb-${"1234567890".repeat(2)}`, "x (secret)"],
    ["in a private key", "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "(secret)"],
  ])("%s", (_where, text, expected) => expect(blank.text(text)).toBe(expected));

  it.each(["$ecret42", "$ecret", "$(A)bc", "${A}bc", "${A:-hunter2}", "<<x", "{{x", "$", "$$", "(secret)x"])(
    "under its name: %s",
    (value) => expect(blank.scalar(value, "NATS_PASSWORD")).toBe("(secret)"),
  );

  it("under a name that says so", () => {
    expect(blank.scalar("hunter2", "ENCRYPTION_KEY")).toBe("(secret)");
    expect(blank.scalar("hunter2", "NATS_PASSWORD")).toBe("(secret)");
    expect(blank.scalar(12345, "apiToken")).toBe("(secret)");
    expect(blank.scalar(new Opaque("x"), "anything")).toBe("(secret)");
  });
});

describe("without knowing it, in the forms of other programs, a secret is hidden", () => {
  const token = Buffer.from('{"a":"b"}').toString("base64url");
  it.each<readonly [where: string, text: string, expected: string]>([
    ["of a line that was cut off", 'password="hunter2 and mo', "password=(secret)"],
    [
      "in JSON in JSON",
      String.raw`"{\"password\":\"hun\\\"ter2\",\"n\":1}"`,
      String.raw`"{\"password\":(secret),\"n\":1}"`,
    ],
    [
      "with a quote inside, as Python shows it",
      String.raw`{'password': 'hun\'ter2', 'n': 1}`,
      "{'password': (secret), 'n': 1}",
    ],
    ["of an argument, in a list", "['psql', '--password', 'hunter2']", "['psql', '--password', (secret)]"],
    ["of a pair", "('NATS_PASSWORD', 'hunter2')", "('NATS_PASSWORD', (secret))"],
    ["of a variable, in JSON", '{"name":"DB_PASSWORD","value":"hunter2"}', '{"name":"DB_PASSWORD","value":(secret)}'],
    ["of a variable, in YAML", "- name: DB_PASSWORD\n  value: hunter2\n", "- name: DB_PASSWORD\n  value: (secret)\n"],
    ["of YAML in lines", "a: b\npassword: |\n  hunter2\n  x y\nc: d", "a: b\npassword: |\n(secret)\nc: d"],
    [
      "of YAML in lines, under a quoted name",
      '"password": |-  # of whom\n  hunter2\nc: d',
      '"password": |-  # of whom\n(secret)\nc: d',
    ],
    [
      "of a variable, in YAML in lines",
      "- name: DB_PASSWORD\n  value: |\n    hunter2\n- name: B\n",
      "- name: DB_PASSWORD\n  value: |\n(secret)\n- name: B\n",
    ],
    ["that ends in such a name", "['psql','--password','topsecret']", "['psql','--password',(secret)]"],
    [
      "that is such a name",
      "- name: DB_PASSWORD\n  value: postgres-password\n",
      "- name: DB_PASSWORD\n  value: (secret)\n",
    ],
    ["of SQL as it was typed, cut off", "alter role noetl password 'supersecret", "alter role noetl password (secret)"],
    ["of XML, a part of its element's name", "<token>ok</token>", "<token>(secret)</token>"],
    ["of a header, cut off", "authorization: Bearer my-secret-token", "authorization: Bearer (secret)"],
    ["of SQL", "ALTER ROLE noetl PASSWORD 'hun''ter2';", "ALTER ROLE noetl PASSWORD (secret);"],
    ["of XML", "<db-password>hunter2</db-password>", "<db-password>(secret)</db-password>"],
    ["of a header", "authorization: Bearer hunter22hunter", "authorization: Bearer (secret)"],
    ["of a header, in JSON", '{"Authorization":"Basic aHVudGVyMg=="}', '{"Authorization":"Basic (secret)"}'],
    ["assigned with a colon and a sign of equality", "password := hunter2", "password := (secret)"],
    ["of an entry", 'config["password"] = "hunter2"', 'config["password"] = (secret)'],
    ["of a web token", `got eyJhbGciOiJIUzI1NiJ9.eyJ${token}.${token}${token} now`, "got (secret) now"],
    ["in a call, as Rust and Python show it", 'pass: Some("hunter2"), n: 1', "pass: Some((secret)), n: 1"],
    ["in two calls", "password=Some(SecretStr('hunter2'))", "password=Some(SecretStr((secret)))"],
    ["behind YAML's anchor", "password: &p hunter2\nb: c", "password: (secret)\nb: c"],
    ["behind YAML's tag", 'password: !secret "hunter2"', "password: (secret)"],
    ["behind both", "password: &p !!str hunter2\nb: c", "password: (secret)\nb: c"],
    ["that begins like a tag", "PGPASSWORD=!hunter2 psql -h x", "PGPASSWORD=(secret) -h x"],
    ["that begins like an anchor", "NATS_PASSWORD=&hunter2 next", "NATS_PASSWORD=(secret)"],
    ["that begins like a tag, before a pipe", "password: !hunter2 | next", "password: (secret) next"],
    ["of HCL in lines", "password = <<EOT\nhunter2\nmore\nEOT\na = 1", "password = (secret)\n(secret)\nEOT\na = 1"],
    ["of HCL in lines, cut off", "password = <<EOT\nhunter2\nmore\n", "password = (secret)\n(secret)\n"],
    ["that begins like such lines", "password = <<hunter2", "password = (secret)"],
    ["of a command line, in JSON", String.raw`"app --password \"hunter2 x\" -v"`, '"app --password (secret) -v"'],
    ["of a command line that goes on", "app --password \\\n  hunter2 -v", "app --password \\\n  (secret) -v"],
    ["of curl's user, in quotes", `curl --user="noetl:hun ter2" https://x`, `curl --user="noetl:(secret)" https://x`],
    ["of curl's user, a number", "curl -u 42:hunter2 https://x", "curl -u 42:(secret) https://x"],
    ["that is bytes", "password=b'hunter2', n=1", "password=b(secret), n=1"],
    ["that is bytes, in a call", "password=SecretBytes(b'hunter2')", "password=SecretBytes(b(secret))"],
    ["of a command line", "nats --user noetl --password hunter2 sub x", "nats --user noetl --password (secret) sub x"],
    ["of a command line, in quotes", "app --api-token 'hunter2 x' run", "app --api-token (secret) run"],
    ["of curl's user", "curl -u noetl:hunter2 https://x", "curl -u noetl:(secret) https://x"],
    ["of a variable that is a key", "FERNET_KEY=hunter2", "FERNET_KEY=(secret)"],
    [
      "of a variable that is a key, in JSON in JSON",
      String.raw`{\"FOO_KEY\":\"a b\"}`,
      String.raw`{\"FOO_KEY\":(secret)}`,
    ],
    [
      "of a variable that is a key, in YAML",
      "- name: FERNET_KEY\n  value: x\n",
      "- name: FERNET_KEY\n  value: (secret)\n",
    ],
    [
      "of a variable, in JSON in JSON",
      String.raw`{\"name\":\"DB_PASSWORD\",\"value\":\"hunter2\"}`,
      String.raw`{\"name\":\"DB_PASSWORD\",\"value\":(secret)}`,
    ],
    ["of a key that signs", "signing_key: hunter2", "signing_key: (secret)"],
    ["of Azure", "AccountName=x;AccountKey=hunter2==;Suffix=y", "AccountName=x;AccountKey=(secret);Suffix=y"],
    ["of a bearer alone", "sent Bearer abcdefgh12345678.x", "sent Bearer (secret)"],
    ["of a login alone", "sent Basic bm9ldGw6aHVudGVyMg==", "sent Basic (secret)"],
    ["of a cookie", '"Set-Cookie": "sid=hunter2; Path=/"', '"Set-Cookie": "(secret)"'],
    ["of a header, in Go's JSON", '{"Authorization":["Bearer hunter22"]}', '{"Authorization":["Bearer (secret)"]}'],
    ["of a cookie, in Go's JSON", '{"Cookie":["sid=hunter2"]}', '{"Cookie":["(secret)"]}'],
    ["of a cookie in quotes", 'Cookie: a=b; sid="hunter2secret"; c=d', "Cookie: (secret)"],
    ["of a cookie that is set in quotes", 'Set-Cookie: sid="hunter2secret"', "Set-Cookie: (secret)"],
    ["of such a cookie, in JSON", String.raw`{"Cookie":"sid=\"hunter2\"; a=b","n":1}`, '{"Cookie":"(secret)","n":1}'],
    ["of a cookie that ends in such a sign", '{"cookie":"sid=aHVudGVyMg==","n":1}', '{"cookie":"(secret)","n":1}'],
    ["of a cookie, in a pair", "[('cookie', 'sid=hunter2')]", "[('cookie', '(secret)')]"],
    ["of a cookie, in a pair of bytes", "[(b'cookie', b'sid=hunter2')]", "[(b'cookie', b'(secret)')]"],
    [
      "of a header, in a pair of bytes",
      "(b'authorization', b'Bearer hunter22')",
      "(b'authorization', b'Bearer (secret)')",
    ],
    ["of a registry's login", '{"auth":"bm9ldGw6aHVudGVyMg=="}', '{"auth":"(secret)"}'],
    [
      "of a URL that is signed",
      "GET /b/o?v=2&X-Goog-Signature=0123456789abcdef&a=b",
      "GET /b/o?v=2&X-Goog-Signature=(secret)&a=b",
    ],
    [
      "of a URL that is signed, in Go's JSON",
      String.raw`"/b?v=2\u0026X-Goog-Signature=0123456789abcdef\u0026a=b"`,
      String.raw`"/b?v=2\u0026X-Goog-Signature=(secret)\u0026a=b"`,
    ],
    ["of a URL that is signed, in HTML", "/b?v=2&amp;sig=0123456789abcdef&amp;a", "/b?v=2&amp;sig=(secret)&amp;a"],
    ["of a sign-in that comes back", "GET /cb?code=4%2F0AbCdEfGhIjKlMnOp&state=x", "GET /cb?code=(secret)&state=x"],
    ["of a token before a host", "https://abcdefghij0123456789@github.com/x", "https://(secret)@github.com/x"],
    ["of who says what was wrong", 'wrong password "hunter2" for noetl', "wrong password (secret) for noetl"],
    ...[
      "GOCSPX-abcdefghijklmnopqrstuvwx",
      `pul-${"0123456789".repeat(4)}`,
      "sk-proj-abcdefghijklmnopqrstuvwxyz",
      `sk-${"abcdefghij".repeat(5)}`,
      `hf_${"abcdefghij".repeat(3)}`,
      `SG.${"abcdefghij".repeat(2)}.${"abcdefghij".repeat(4)}`,
      `dop_v1_${"0123456789abcdef".repeat(4)}`,
      `discord.com/api/webhooks/123/${"abcdefghij".repeat(6)}`,
      `api.telegram.org/bot123:${"abcdefghij".repeat(3)}`,
    ].map((known) => [`that says whose it is: ${known.slice(0, 12)}`, `got ${known} now`, "got (secret) now"] as const),
    ["of a seed of NATS", `seed SU${"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".repeat(2).slice(0, 56)}`, "seed (secret)"],
  ])("%s", (_where, text, expected) => expect(blank.text(text)).toBe(expected));

  it.each([
    '"variables": ["NATS_PASSWORD", "MY_TOKEN"]',
    '{"name": "password", "value": "$(PASSWORD)"}',
    "url = 'password=' + quote(password)",
    "<password>${PASSWORD}</password>",
    "spawnargs: [ 'get', 'secret', 'nats-auth', '-o' ]",
    'required: ["username","password","host"]',
    '["secret","configmap","pods"]',
    "authorization: token expired, Authorization: Basic auth required",
    "authorization: Bearer $TOKEN",
    "pulumi config set --secret natsPassword --stack gke",
    "docker run --user 1000:1000 -u 65532:65532 x",
    "docker exec -u 0:root x, date -u +%H:%M, curl -u https://x/y:z",
    "--user and --password must be given",
    "Flag --api-key has been deprecated, use --token instead",
    "      --token string   Bearer token",
    "PUBLIC_KEY=abc, PRIMARY_KEY: id, DUPLICATE_KEY=2",
    "postgresql://noetl-sa%40my-project.iam@10.0.0.1",
    "nats://noetl-restricted-worker-login@nats:4222",
    "docker://nats-server-config-reloader-0@sha256:0123",
    "app --password-file /run/x --token-ttl 3600 --no-pass -- x",
    "GET /x?code=404&sig=short",
    "Bearer authentication is required, Basic authentication too",
    "nats://noetl@nats:4222",
    'a cookie is missing, and "auth": "required"',
    "desk-0123456789012345678901234567890123456789012345",
    // Of an account: it says who that is, and lets nobody in.
    `operator: eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJ${token}.${token}${token}`,
  ])("and what is none stays: %s", (text) => expect(blank.text(text)).toBe(text));
});

describe("of a secret that consists of several", () => {
  const login = Buffer.from("ada:hunter2222").toString("base64");
  it.each([
    ["a URL", "nats://noetl:hunter2222@nats:4222"],
    ["a URL with signs that are written out", "postgres://noetl:hunt%65r2222@db/noetl"],
    ["JSON on one line", '{"user":"ada","password":"hunter2222"}'],
    ["a registry's login", `{"auths":{"ghcr.io":{"auth":"${login}"}}}`],
    ["a connection string", "host=db user=ada password=hunter2222 dbname=noetl"],
    ["psql's logins", "db:5432:noetl:ada:hunter2222\n"],
    ["PgBouncer's", '"ada" "hunter2222"'],
    ["YAML with a tag", "password: !secret hunter2222\nuser: ada"],
    ["one with blanks at its ends", " hunter2222 \n"],
    ["one with a byte order mark and a zero", "\ufeffhunter2222\0"],
  ])("%s, each is hidden alone", (_what, secret) =>
    expect(new Masker([], [secret]).text("login with hunter2222 failed")).toBe("login with (secret) failed"),
  );

  it("one that begins like a tag of YAML is hidden alone", () =>
    expect(new Masker([], ["password: !hunter2222 # Ada's"]).text("login with !hunter2222 failed")).toBe(
      "login with (secret) failed",
    ));

  it("what only names a Secret is not hidden in every line", () =>
    expect(
      new Masker([], ["existingSecret: nats-auth", '{"tokenSecret":"noetl-secret"}']).text(
        "Secret nats-auth, noetl-secret",
      ),
    ).toBe("Secret nats-auth, noetl-secret"));

  it.each([
    ["# pass --token from the environment", "lines from a log"],
    ["STREAM_KEY=NOETL_COMMANDS", "stream NOETL_COMMANDS"],
    ["CACHE_KEY: worker", "deployment worker"],
    ["--tls-secret nats-tls", "Secret nats-tls"],
    ["--image-pull-secret noetl-registry", "Secret noetl-registry"],
  ])("what may be a word or a name is not hidden in every line: %s", (line, text) =>
    expect(new Masker([], [`user: ada\n${line}\n`]).text(text)).toBe(text),
  );

  it("two that overlap are hidden to the end of the second", () =>
    expect(new Masker([], ["abcdefgh", "efghijkl"]).text("x abcdefghijkl y")).toBe("x (secret) y"));

  it("a key that is no text is hidden as others write its bytes", () => {
    const bytes = Buffer.from(Array.from({ length: 32 }, (_, index) => (index * 37 + 200) % 256));
    const hides = new Masker([], [bytes.toString("base64")]);
    for (const form of [bytes.toString("hex"), bytes.toString("base64url"), bytes.toString("hex").toUpperCase()])
      expect(hides.text(`key ${form}!`)).toBe("key (secret)!");
  });
});

describe("of texts of any size", () => {
  const MEBIBYTE = 1024 * 1024;
  const hides = new Masker([], [SECRET]);
  const run: Record<string, string> = {
    "of hex": "0",
    "of letters": "a",
    "of base32": "A",
    "of a URL's user": "://aaaaaaaa",
    "of a URL's login": "://a:@",
    "of a key's beginning": "-----BEGIN A",
    "of a reference of HTML": "&#0",
    "of a value": 'password="x\\',
    "of a token": "ghp_",
    "of a URL's units": "%u0041",
    "of a URL's bytes": "%e4",
    "of blanks": " ",
    "of a beginning of a token": "eyJ-",
    "of cookies": "cookie: ",
    "of calls around a value": "token=a(",
    "of a beginning of a call": "token=a",
    "of users of curl": "-u=;",
    "of signs of equality": "=",
    "of slashes": "\\",
    "of cookies in quotes": 'cookie: a="',
    "of tags": "password: !a ",
    "of options": "--password ",
    "of keys": "A_KEY ",
  };

  it.each(Object.entries(run))("a run %s throws nothing, and takes no longer than its length", (_what, part) => {
    const line = part.repeat(MEBIBYTE / part.length);
    const before = process.cpuUsage().user;
    expect(hides.text(`${line} ${SECRET}`)).not.toContain(SECRET);
    const half = line.slice(0, MEBIBYTE / 2);
    expect(hides.text(`${half}\n${half}\n${SECRET}`)).not.toContain(SECRET);
    expect(hides.text(part.repeat((8 * MEBIBYTE) / part.length))).toBe("(secret)");
    expect(process.cpuUsage().user - before).toBeLessThan(20_000_000);
  });

  it("more units of a URL than a function takes arguments are read", () => {
    expect(hides.text(`${"%u0041".repeat(150_000)} ${SECRET}`)).not.toContain(SECRET);
  });

  it("blanks take no longer than their length, after a name and at the end of a secret, nor other signs before a value", () => {
    const blanks = " ".repeat(MEBIBYTE / 2);
    const before = process.cpuUsage().user;
    for (const before of ["name: token", "name: A_KEY", "-u", "--password", "password: !a", "cookie:"])
      expect(hides.text(`${before}${blanks} ${SECRET}`)).not.toContain(SECRET);
    expect(hides.text(`x -u${"=".repeat(MEBIBYTE)} ${SECRET}`)).not.toContain(SECRET);
    expect(new Masker([], [`a${blanks}b`]).text("x")).toBe("x");
    expect(process.cpuUsage().user - before).toBeLessThan(10_000_000);
  });

  it("what stands at the seam of two parts is hidden", () => {
    const lines = "of a log\n".repeat(MEBIBYTE / 9);
    for (const moved of [0, 4, 8])
      expect(hides.text(`${"x".repeat(moved)}${lines}Canary-\n  Horse.42\n${lines}`)).not.toContain("Horse");
    const key = `-----BEGIN PRIVATE KEY-----\n${"QUJD\n".repeat(MEBIBYTE / 4)}-----END PRIVATE KEY-----`;
    expect(hides.text(`a\n${key}\nb`)).toBe("a\n(secret)\nb");
  });

  it("a control sequence that nothing ends takes its line along, and none after it", () => {
    expect(harmless("a\u001b]0;title\nb\u001bPx\nc")).toBe("a\nb\nc");
    for (const begin of ["\u001b[", "\u001b]", "\u001bP", "\u009b"])
      expect(harmless(`${begin}${"1".repeat(8 * MEBIBYTE)}`).length).toBeGreaterThan(MEBIBYTE);
  });
});

describe("what is not a secret stays", () => {
  it.each([
    "password: $NATS_PASSWORD_0",
    'password: "<< $NATS_PASSWORD_0 >>"',
    "password: ${NATS_PASSWORD}",
    'password: "${NATS_PASSWORD:-}"',
    "password: $(NATS_PASSWORD)",
    "password=$(cat /run/secrets/nats)",
    "password = %(NATS_PASSWORD)s",
    "token: {{ .Values.token }}",
    "secretName: noetl-secret",
    "bypass: on, pass-through: yes, trespass=no, compass: north",
    "proxy_pass: upstream",
    "requirepass is not set, BYPASS=on, natspassage: 1",
    "docker run --user=1000:nogroup x; docker run -u 1000:1000; (docker run -u 1000:1000)",
    "http://localhost:3000,http://localhost:8080",
    "nats://nats.nats.svc.cluster.local:4222",
  ])("%s", (text) => expect(blank.text(text)).toBe(text));

  it.each([
    ["secretName", "noetl-secret"],
    ["CORS_ALLOW_CREDENTIALS", "true"],
    ["existingSecret", "mine"],
    ["secretKeyRef", "mine"],
    ["NATS_PASSWORD", "$(OTHER_PASSWORD)"],
    ["NATS_PASSWORD", "$OTHER_PASSWORD"],
    ["NATS_PASSWORD", "${OTHER_PASSWORD}"],
    ["NATS_PASSWORD_FILE", "/run/secrets/nats"],
    ["replicas", 3],
    ["automountServiceAccountToken", false],
  ])("%s", (name, value) => expect(blank.scalar(value, name)).toBe(value));
});

describe("what a run makes up", () => {
  it("is shown as what it stands for", () => {
    const placeholders = new Placeholders("key");
    const secret = placeholders.text("secret", "config", "v1:abc");
    const drawn = placeholders.text("generated", "name", "nats-auth");
    const revision = placeholders.number("generated", "revision", 1);
    const hides = new Masker(placeholders.issued, []);
    expect(hides.text(`nats-auth-${drawn} ${secret} ${UNKNOWN}`)).toBe(
      "nats-auth-(generated) (secret) (known after deployment)",
    );
    expect(hides.scalar(revision, "revision")).toBe("(generated)");
    expect(hides.text(Buffer.from(`noetl:${secret}`).toString("base64"))).not.toContain(
      Buffer.from(secret).toString("base64").slice(4, 20),
    );
  });

  it("is the same for the same source and key only", () => {
    const one = new Placeholders("key");
    expect(one.text("secret", "a")).toBe(new Placeholders("key").text("secret", "a"));
    expect(one.text("secret", "a")).not.toBe(one.text("secret", "b"));
    expect(one.text("secret", "a")).not.toBe(new Placeholders("other").text("secret", "a"));
    expect(one.text("secret", "a")).toMatch(/^[a-z][a-z0-9]+$/);
  });
});

it("tells entries of Secrets that need not be hidden everywhere", () => {
  const entries = { host: "db.example.org", port: "5432", NOETL_USER: "swordfish", POSTGRES_DB: "production" };
  expect(knownSecrets({ ...entries, password: "5432", token: "db.example.org", note: "swordfish" })).toEqual([
    "5432",
    "db.example.org",
    "swordfish",
  ]);
});

describe("of every character that Unicode has", () => {
  const all = Array.from({ length: 0x110000 }, (_, code) => code).filter((code) => code < 0xd800 || code > 0xdfff);
  /** Controls, marks of direction, and what has no width or is to be ignored; a tab and the end of a line are seen. */
  const isUnseen = (sign: string): boolean =>
    /[\p{Cc}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/u.test(sign) && !"\t\n".includes(sign);

  it("none that is not seen is kept of others' texts, and all are that are", () => {
    const wrong = all.filter((code) => {
      const sign = String.fromCodePoint(code);
      // Annotations between lines: seen by some, and part of no word.
      return code < 0xfff9 || code > 0xfffb ? (harmless(`ä${sign}ä`) === "ää") !== isUnseen(sign) : false;
    });
    expect(wrong).toEqual([]);
  });

  it("the diff spells out the same", () => {
    const wrong = all.filter((code) => {
      const sign = String.fromCodePoint(code);
      return visible(sign).startsWith("\\u{") !== (harmless(sign) === "");
    });
    expect(wrong).toEqual([]);
  });

  it("none turns what a server says of a failure", () =>
    expect(new ConnectError("refused-request", "no \u202estream\u001b[2J\u009b1m here").message).toBe(
      "no stream here",
    ));
});
