"""Serves moto's S3, one request after the other: serve.py PORT.

moto looks whether an object exists and stores it in two steps, so that of two writers with `If-None-Match: *` both may
win. S3 decides in one step; so does this.
"""

import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import run_simple

moto = DomainDispatcherApplication(create_backend_app)
turn = threading.Lock()


def application(environ, start_response):
    with turn:
        return moto(environ, start_response)


run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True, request_handler=MotoRequestHandler)
