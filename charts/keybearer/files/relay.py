"""Brings the sandbox to 127.0.0.1: `relay.py PORT HOST` passes connections on to the same port of HOST."""

import asyncio
import sys


async def main(port: int, host: str) -> None:
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass  # the other side sees the end of its stream
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(host, port)
        except OSError as error:
            print(f"{host}:{port} does not answer: {error}", file=sys.stderr)  # noqa: T201
            writer.close()
            return
        await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
