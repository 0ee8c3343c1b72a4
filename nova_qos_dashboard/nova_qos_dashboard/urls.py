# SPDX-License-Identifier: Apache-2.0
"""The pages and dialogs of the panel."""

from django.urls import re_path

from nova_qos_dashboard import views
from nova_qos_dashboard.hosts import views as hosts
from nova_qos_dashboard.policies import views as policies

_HOST, _POLICY = r"^hosts/(?P<host>[^/]+)/", r"^policies/(?P<policy>[0-9]+)/"

urlpatterns = [
    re_path(r"^$", views.IndexView.as_view(), name="index"),
    re_path(rf"{_HOST}$", hosts.HostView.as_view(), name="host"),
    re_path(rf"{_HOST}set/$", hosts.SetView.as_view(), name="set"),
    re_path(rf"{_HOST}assign/$", hosts.AssignView.as_view(), name="assign"),
    re_path(rf"{_HOST}unset/$", hosts.UnsetView.as_view(), name="unset"),
    re_path(rf"{_HOST}move/$", hosts.MoveView.as_view(), name="move"),
    re_path(r"^policies/create/$", policies.CreateView.as_view(), name="create_policy"),
    re_path(rf"{_POLICY}$", policies.PolicyView.as_view(), name="policy"),
    re_path(rf"{_POLICY}edit/$", policies.EditView.as_view(), name="edit_policy"),
    re_path(rf"{_POLICY}projects/$", policies.ProjectsView.as_view(), name="policy_projects"),
]
