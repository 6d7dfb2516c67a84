"""A port of the loopback in front of a Unix socket, byte for byte: schemathesis speaks TCP only.

    bridge.py SOCKET    prints its port
"""

import asyncio
import sys


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (ConnectionError, OSError):
        writer.close()


async def main(path):
    async def serve(reader, writer):
        try:
            to_reader, to_writer = await asyncio.open_unix_connection(path)
        except OSError:
            return writer.close()
        await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))
        writer.close()
        to_writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(sys.argv[1]))
