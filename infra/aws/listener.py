"""The ports of the load balancer."""

from collections.abc import Mapping

from infra.aws.balancer import Tagged, describe_balancer
from infra.aws.cloud import Cloud
from infra.aws.resource import Found, Wanted, pairs

TLS = "ELBSecurityPolicy-TLS13-1-2-2021-06"


class Listener(Tagged):
    """A port of the balancer: HTTPS with a certificate; plain HTTP redirects there, where there is one."""

    def __init__(self, cloud: Cloud, balancer: str, certificate: str, secure: bool) -> None:
        super().__init__(cloud, f"{balancer}:{443 if secure else 80}")
        self._balancer = balancer
        self._certificate = certificate
        self._secure = secure
        self.key = "https" if secure else "http"

    def wanted(self, ids: Mapping[str, str]) -> Wanted | None:
        if self._secure and not self._certificate:
            return None
        forward = {"Type": "forward", "TargetGroupArn": ids["targets"]}
        redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        if self._secure:
            secure = {"Certificates": [{"CertificateArn": self._certificate}], "SslPolicy": TLS}
            ways = {"Protocol": "HTTPS", "Port": 443, "DefaultActions": [forward], **secure}
        else:
            action = {"Type": "redirect", "RedirectConfig": redirect} if self._certificate else forward
            ways = {"Protocol": "HTTP", "Port": 80, "DefaultActions": [action]}
        return {"LoadBalancerArn": ids["balancer"], **ways}

    def find(self) -> Found | None:
        balancer = describe_balancer(self._elb, self._balancer)
        if balancer is None:
            return None
        port = int(self.name.rpartition(":")[2])
        listeners = self._elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        arns = [each["ListenerArn"] for each in listeners if each["Port"] == port]
        return self.found(arns[0]) if arns else None

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        made = self._elb.create_listener(**wanted, Tags=pairs(tags))
        return Found(made["Listeners"][0]["ListenerArn"], tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        ways = {key: value for key, value in wanted.items() if key != "LoadBalancerArn"}
        self._elb.modify_listener(ListenerArn=found.id, **ways)
        return found

    def delete(self, found: Found) -> bool:
        self._elb.delete_listener(ListenerArn=found.id)
        return True
