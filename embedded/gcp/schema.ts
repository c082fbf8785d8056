/**
 * The input schemas of Google Cloud's resources, read from the type declarations that the official SDK carries: which
 * properties there are, which are required, and of what type each is.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import * as ts from "typescript";
import { UNKNOWN } from "../plugin/wire";

const SDK = path.dirname(require.resolve("@pulumi/gcp/package.json"));

type Shape =
  | { readonly kind: "string" | "number" | "boolean" | "any" }
  | { readonly kind: "list" | "map"; readonly of: Shape }
  | { readonly kind: "object"; readonly node: ts.InterfaceDeclaration };

let nested: Map<string, ts.InterfaceDeclaration> | undefined;

const parse = (file: string): ts.SourceFile =>
  ts.createSourceFile(file, fs.readFileSync(file, "utf8"), ts.ScriptTarget.Latest, false);

/** `container.ClusterReleaseChannel` to its declaration. */
function nestedTypes(): Map<string, ts.InterfaceDeclaration> {
  if (nested) return nested;
  nested = new Map();
  for (const statement of parse(path.join(SDK, "types", "input.d.ts")).statements) {
    if (ts.isInterfaceDeclaration(statement)) nested.set(statement.name.text, statement);
    if (!ts.isModuleDeclaration(statement) || !statement.body || !ts.isModuleBlock(statement.body)) continue;
    for (const inner of statement.body.statements) {
      if (ts.isInterfaceDeclaration(inner)) nested.set(`${statement.name.text}.${inner.name.text}`, inner);
    }
  }
  return nested;
}

const nameOf = (name: ts.EntityName): string =>
  ts.isIdentifier(name) ? name.text : `${nameOf(name.left)}.${name.right.text}`;

function shapeOf(node: ts.TypeNode | undefined): Shape {
  if (!node) return { kind: "any" };
  switch (node.kind) {
    case ts.SyntaxKind.StringKeyword:
      return { kind: "string" };
    case ts.SyntaxKind.NumberKeyword:
      return { kind: "number" };
    case ts.SyntaxKind.BooleanKeyword:
      return { kind: "boolean" };
  }
  if (ts.isParenthesizedTypeNode(node)) return shapeOf(node.type);
  if (ts.isUnionTypeNode(node)) {
    const given = node.types.filter((each) => each.kind !== ts.SyntaxKind.UndefinedKeyword);
    return given.length === 1 ? shapeOf(given[0]) : { kind: "any" };
  }
  if (ts.isArrayTypeNode(node)) return { kind: "list", of: shapeOf(node.elementType) };
  if (ts.isTypeLiteralNode(node)) {
    const index = node.members.find(ts.isIndexSignatureDeclaration);
    return index ? { kind: "map", of: shapeOf(index.type) } : { kind: "any" };
  }
  if (ts.isTypeReferenceNode(node)) {
    const name = nameOf(node.typeName);
    if (name === "pulumi.Input") return shapeOf(node.typeArguments?.[0]);
    if (name.startsWith("inputs.")) {
      const found = nestedTypes().get(name.slice("inputs.".length));
      if (found) return { kind: "object", node: found };
    }
  }
  return { kind: "any" };
}

const declarations = new Map<string, ts.InterfaceDeclaration | undefined>();

/**
 * Declaration of the arguments of a resource (`gcp:container/cluster:Cluster`) or of a function
 * (`gcp:compute/getAddress:getAddress`); undefined for a function that takes none. @throws Error where the SDK has none of that name.
 */
function argumentsOf(token: string): ts.InterfaceDeclaration | undefined {
  if (declarations.has(token)) return declarations.get(token);
  const [, module = "", name = ""] = token.split(":");
  const [folder = "", file = ""] = module.split("/");
  const wanted = `${file}.d.ts`.toLowerCase();
  const found = fs.readdirSync(path.join(SDK, folder)).find((each) => each.toLowerCase() === wanted);
  if (!found) throw new Error(`the SDK has no ${token}`);
  const declared = `${name.charAt(0).toUpperCase()}${name.slice(1)}Args`;
  const statement = parse(path.join(SDK, folder, found)).statements.find(
    (each): each is ts.InterfaceDeclaration => ts.isInterfaceDeclaration(each) && each.name.text === declared,
  );
  if (!statement && !name.startsWith("get")) throw new Error(`${folder}/${found} declares no ${declared}`);
  declarations.set(token, statement);
  return statement;
}

/** What is wrong with a resource's or a function's inputs, without secret marks; empty where nothing is. */
export function inputProblems(token: string, inputs: Readonly<Record<string, unknown>>): string[] {
  const node = argumentsOf(token);
  return node
    ? objectProblems(node, inputs, token)
    : Object.keys(inputs).map((key) => `${token}.${key}: no such property`);
}

function objectProblems(node: ts.InterfaceDeclaration, value: Readonly<Record<string, unknown>>, at: string): string[] {
  const members = new Map<string, ts.PropertySignature>();
  for (const member of node.members) {
    if (ts.isPropertySignature(member) && (ts.isIdentifier(member.name) || ts.isStringLiteral(member.name)))
      members.set(member.name.text, member);
  }
  const problems: string[] = [];
  for (const [key, given] of Object.entries(value)) {
    if (key.startsWith("__") || given === undefined || given === null) continue;
    const member = members.get(key);
    if (member) problems.push(...valueProblems(shapeOf(member.type), given, `${at}.${key}`));
    else problems.push(`${at}.${key}: no such property`);
  }
  for (const [key, member] of members) {
    if (!member.questionToken && (value[key] === undefined || value[key] === null))
      problems.push(`${at}.${key}: required, and missing`);
  }
  return problems;
}

function valueProblems(shape: Shape, value: unknown, at: string): string[] {
  if (value === UNKNOWN || shape.kind === "any") return [];
  if (shape.kind === "list") {
    if (!Array.isArray(value)) return [`${at}: no list`];
    return value.flatMap((item, index) => valueProblems(shape.of, item, `${at}[${index}]`));
  }
  if (shape.kind === "map" || shape.kind === "object") {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return [`${at}: no object`];
    if (shape.kind === "object") return objectProblems(shape.node, value as Record<string, unknown>, at);
    return Object.entries(value).flatMap(([key, item]) => valueProblems(shape.of, item, `${at}.${key}`));
  }
  return typeof value === shape.kind ? [] : [`${at}: ${typeof value} instead of ${shape.kind}`];
}
