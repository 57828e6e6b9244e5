"""Who asks, by the token alone: USER:PROJECT.

Upstream's noauth2 gives no roles, which its policies want. Here the user
``admin`` is an administrator, everybody else a member of the project.
"""

import webob.dec
import webob.exc

from nova.api.openstack import wsgi
from nova.api import wsgi as base_wsgi
from nova import context as nova_context

MEMBER = ['member', 'reader']


class TokenAuth(base_wsgi.Middleware):

    @webob.dec.wsgify(RequestClass=wsgi.Request)
    def __call__(self, req):
        token = req.headers.get('X-Auth-Token', '')
        user, _, project = token.partition(':')
        if not user or not project:
            return webob.exc.HTTPUnauthorized(
                'expected a token USER:PROJECT in X-Auth-Token, not %r'
                % token)
        admin = user == 'admin'
        req.environ['nova.context'] = nova_context.RequestContext(
            user, project, is_admin=admin, auth_token=token,
            roles=['admin', 'manager', *MEMBER] if admin else MEMBER,
            remote_address=req.remote_addr, service_catalog=[],
            request_id=req.environ.get('openstack.request_id'))
        return self.application
