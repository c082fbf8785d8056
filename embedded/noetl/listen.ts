import * as http from "node:http";
import { need } from "./pod-environment";

/** Answers requests on the port that stands for the pod's. An error of the answering becomes a 500. */
export function listen(answer: (request: http.IncomingMessage, response: http.ServerResponse) => void | Promise<void>) {
  http
    .createServer((request, response) => {
      Promise.resolve()
        .then(() => answer(request, response))
        .catch((error: unknown) => {
          if (!response.headersSent) response.writeHead(500);
          response.end(error instanceof Error ? error.message : String(error));
        });
    })
    .listen(Number(need("EMBEDDED_PORT")), "127.0.0.1");
}

export function json(response: http.ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

export async function bodyOf(request: http.IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += String(chunk);
  return text;
}
