"""A valid app file's model as the spec that releases keep. Pure."""

from __future__ import annotations

from datetime import timedelta

from pierhead.appfile import schema
from pierhead.model import app as model
from pierhead.model.policy import Https, Policy


def spec(app: schema.App) -> model.Spec:
    """The same app in the model's words. `app` has passed `check`."""
    return model.Spec(
        app=app.app,
        ports=tuple(_port(name, port) for name, port in app.ports.items()),
        ports_required=app.ports_required or any(port.protocol == "dubbo" for port in app.ports.values()),
        replicas=app.replicas,
        command=tuple(app.command or ()),
        resources=_resources(app.resources),
        health=_health(app),
        env=dict(app.env),
        secrets=tuple(app.secrets),
        secret_env=dict(app.secret_env),
        volumes=tuple(model.Volume(v.name or v.folder or "", v.path, v.read_only) for v in app.volumes),
        network=model.Network(app.network),
        deploy=_deploy(app.deploy),
        labels=dict(app.placement.labels),
        build=_build(app.build, app.test),
    )


def _resources(resources: schema.Resources) -> model.Resources:
    reserve = resources.reserve
    return model.Resources(resources.cpus, resources.memory, reserve.cpus, reserve.memory)


def _port(name: str, port: schema.Port) -> model.Port:
    return model.Port(
        name=name,
        container_port=port.port,
        protocol=model.Protocol(port.protocol),
        service_port=port.service_port,
        hosts=tuple(dict.fromkeys(port.hosts)),
        paths=tuple(dict.fromkeys(port.paths)),
        mode=model.PortMode(port.mode or ("same" if port.protocol == "dubbo" else "nat")),
        policy=_policy(port),
        redirect_hosts=tuple(dict.fromkeys(port.redirect_hosts)),
    )


def _policy(port: schema.Port) -> Policy:
    return Policy(
        rewrite=port.rewrite or "",
        https=Https(port.https),
        hsts=port.hsts,
        redirect_code=port.redirect_code,
        sticky=port.sticky,
        balance=port.balance,
        connect_timeout=port.connect_timeout,
        response_timeout=port.response_timeout,
        idle_timeout=port.idle_timeout,
        body_limit=port.body_limit,
        http2=port.http2,
    )


def _health(app: schema.App) -> model.Health:
    said = app.health if isinstance(app.health, schema.Health) else schema.Health()
    if app.health == "none" or not app.ports:
        return model.Health(probe=model.Probe.NONE)
    port = said.tcp or ""
    if said.http:
        port = said.port or next((name for name, port in app.ports.items() if port.protocol == "http"), "")
    return model.Health(
        probe=model.Probe.HTTP if said.http else model.Probe.TCP,
        path=said.http or "/",
        port=port,
        interval=said.interval,
        timeout=said.timeout,
        rise=said.rise,
        fall=said.fall,
    )


_STAGES = (model.Stage(10, timedelta(minutes=1)), model.Stage(50, timedelta(minutes=1)))


def _deploy(deploy: schema.Deploy) -> model.Deploy:
    strategy = model.Strategy(deploy.strategy)
    return model.Deploy(
        strategy=strategy,
        step=deploy.step,
        stages=_stages(strategy, deploy),
        watch=deploy.watch,
        gate=model.Gate(deploy.gate.max_error_rate, deploy.gate.min_requests) if deploy.gate else None,
        hooks=_hooks(deploy.hooks),
        deadline=deploy.deadline,
        drain=deploy.drain,
        stop=deploy.stop,
    )


def _stages(strategy: model.Strategy, deploy: schema.Deploy) -> tuple[model.Stage, ...]:
    """Blue-green is one stage without requests; the last one, with all of them, is never listed."""
    if strategy is model.Strategy.BLUE_GREEN:
        return (model.Stage(0, deploy.preview),)
    if strategy is model.Strategy.CANARY:
        return tuple(model.Stage(one.percent, one.pause) for one in deploy.stages) or _STAGES
    return ()


def _hooks(hooks: schema.Hooks) -> model.Hooks:
    return model.Hooks(tuple(hooks.pre_deploy or ()), tuple(hooks.post_deploy or ()), hooks.limit)


def _build(build: schema.Build, test: schema.Test | None) -> model.BuildSpec:
    return model.BuildSpec(
        runtime=build.runtime or "",
        base=build.base or "",
        dockerfile=build.dockerfile or "",
        target=build.target or "",
        args=dict(build.args),
        secrets=tuple(build.secrets),
        command=tuple(build.command or ()),
        output=build.output or "",
        test=_test(test) if test else None,
    )


def _test(test: schema.Test) -> model.TestSpec:
    return model.TestSpec(
        command=tuple(test.command),
        env=dict(test.env),
        services={
            name: model.TestService(one.image, dict(one.env), tuple(one.command or ()))
            for name, one in test.services.items()
        },
        report=test.report or "",
        timeout=test.timeout,
    )
