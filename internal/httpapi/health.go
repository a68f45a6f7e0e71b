package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/gpucheck"
	gpuhealth "github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/rest"
)

// healthRoutes are the checks of a deployment's GPUs.
func (h deployments) healthRoutes(r *rest.Router) {
	const one = Base + "/deployments/{id}"
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: one + "/health", ID: "getDeploymentHealth", Tag: tagDeployments,
		Scope: string(account.ReadDeployments), Summary: "Get the health of a deployment's GPUs",
		Description: "The newest verdict, and the newest 20 checks. not_checked says nothing about the GPUs.",
	}, h.health)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: one + "/health-checks", ID: "checkDeploymentHealth", Tag: tagDeployments,
		Scope: string(account.WriteDeployments), Status: http.StatusAccepted, Summary: "Check a deployment's GPUs",
		Description: "Returns 202 at once; the check has a verdict when it is finished. It needs a running " +
			"deployment that was created with `healthAccess: \"keep\"`, of an offer whose healthPolicy is report " +
			"or require. Level 2 puts load on the GPUs for minutes.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.checkHealth)
}

func (h deployments) health(ctx context.Context, c *rest.Call, in *deploymentPath) (deployment.HealthReport, error) {
	return h.svc.HealthOf(ctx, h.db, c.Caller.Account, in.ID)
}

type checkDeploymentHealth struct {
	deploymentPath
	Body struct {
		Level gpucheck.Level `json:"level,omitempty" minimum:"1" maximum:"2" doc:"1: what the driver reports, in seconds. 2: also diagnostics under load, in minutes, where they are installed. 1 if omitted."`
	}
}

func (h deployments) checkHealth(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *checkDeploymentHealth,
) (gpuhealth.Check, error) {
	return h.svc.RequestHealthCheck(ctx, tx, c.Caller.Account, in.ID, in.Body.Level)
}
