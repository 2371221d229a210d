"""List the base models of this installation."""

from fastapi import APIRouter

from app.base_models.catalog import ModelFolder, survey_models
from app.base_models.checks import ModelFacts
from app.contract.base_models import BaseModelProblem, BaseModelView
from app.contract.errors import UserFault
from app.dependencies import ExaminerDep, SettingsDep
from app.pagination import Page
from app.threads import CHECKS

router = APIRouter(prefix="/v1/base-models", tags=["base models"])


@router.get("", operation_id="list_base_models", summary="List base models")
async def list_base_models(settings: SettingsDep, examiner: ExaminerDep) -> Page[BaseModelView]:
    """List those on this machine, on one page; where the hub is allowed, its models work too.

    A folder that holds no model that can be compressed is listed with the reason.
    """
    found = await CHECKS.run(lambda: list(survey_models(settings, examiner)))
    return Page(data=[_row(*each) for each in found], has_more=False)


def _row(folder: ModelFolder, found: ModelFacts | UserFault) -> BaseModelView:
    facts = found if isinstance(found, ModelFacts) else None
    fault = found if isinstance(found, UserFault) else None
    return BaseModelView(
        id=folder.id,
        source=folder.source,
        usable=fault is None,
        problem=fault and BaseModelProblem(code=fault.code, message=fault.message),
        model_type=facts and facts.model_type,
        vocab_size=facts and facts.vocab_size,
        parameters=facts and facts.parameters,
        bytes=facts and facts.bytes,
    )
