package spherontest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

type volume struct {
	id, name, provider, region string
	size                       int64
	deleted                    bool
	attached                   []string
	created                    time.Time
}

// volumeRegion is a region with volumes.
type volumeRegion struct {
	region   string
	min, max int64
}

var volumeRegionsOf = map[string][]volumeRegion{
	"voltage-park": {{"us-dallas-1", 10, 64000}},
	"data-crunch":  {{"FIN-01", 10, 10000}, {"FIN-02", 10, 10000}},
	"spheron-ai":   {{"eu-1", 1, 2000}},
}

const perGBHour = 0.000109

func (c *Cloud) volumeRegions(r *http.Request) (int, any) {
	homes, known := volumeRegionsOf[r.URL.Query().Get("provider")]
	if !known {
		return refuse(http.StatusBadRequest, "provider must be one of voltage-park, data-crunch, sesterce, spheron-ai")
	}
	regions := []any{}
	for _, h := range homes {
		regions = append(regions, map[string]any{
			"id": h.region, "name": h.region, "hasGpuOffers": true,
			"minSizeGb": h.min, "maxSizeGb": h.max, "hourlyRatePerGb": perGBHour,
		})
	}
	return http.StatusOK, map[string]any{"hasAnyOffers": true, "regions": regions}
}

func showVolume(v *volume) map[string]any {
	status, attached := "available", append([]string{}, v.attached...)
	switch {
	case v.deleted:
		status = "deleted"
	case len(attached) > 0:
		status = "attached"
	}
	return map[string]any{
		"id": v.id, "volumeId": "vol_" + v.id, "name": v.name, "providerId": v.provider, "sizeInGb": v.size,
		"usedCapacityBytes": 0, "status": status,
		"hourlyRate": perGBHour, "attachedToDeploymentIds": attached, "createdAt": v.created.UTC().Format(time.RFC3339),
	}
}

func (c *Cloud) listVolumes(r *http.Request) (int, any) {
	page, limit, problem := paging(r, 20)
	if problem != "" {
		return refuse(http.StatusBadRequest, "%s", problem)
	}
	limit = min(limit, 50)
	all := []any{}
	for i := range len(c.volumes) {
		all = append(all, showVolume(c.volumes[volumeID(i)]))
	}
	first := min((page-1)*limit, len(all))
	return http.StatusOK, map[string]any{
		"volumes": all[first:min(first+limit, len(all))], "total": len(all), "page": page, "limit": limit,
		"totalPages": (len(all) + limit - 1) / limit,
	}
}

func volumeID(i int) string { return fmt.Sprintf("6712aa%04d", i) }

// theVolume returns the volume of the path, which takes the id and not the volumeId.
func (c *Cloud) theVolume(r *http.Request) (*volume, bool) {
	v, found := c.volumes[r.PathValue("id")]
	return v, found && !v.deleted
}

func (c *Cloud) oneVolume(r *http.Request) (int, any) {
	v, found := c.theVolume(r)
	if !found {
		return refuse(http.StatusNotFound, "Volume not found")
	}
	return http.StatusOK, showVolume(v)
}

var volumeName = regexp.MustCompile(`^[a-z0-9_-]{1,60}$`)

func (c *Cloud) createVolume(r *http.Request) (int, any) {
	var body struct {
		Name         string `json:"name"`
		SizeInGB     int64  `json:"sizeInGb"`
		Provider     string `json:"provider"`
		Region       string `json:"region"`
		CloudID      string `json:"cloudId"`
		DeploymentID string `json:"deploymentId"`
		TeamID       string `json:"teamId"`
	}
	if err := upstreamtest.ReadJSON(r, &body); err != nil {
		return refuse(http.StatusBadRequest, "Invalid request body: %v", err)
	}
	if body.Provider == "voltage-park" && body.Region == "" {
		body.Region = "us-dallas-1"
	}
	i := slices.IndexFunc(volumeRegionsOf[body.Provider], func(h volumeRegion) bool { return h.region == body.Region })
	switch {
	case i < 0:
		return refuse(http.StatusBadRequest, "Invalid provider or region")
	case !volumeName.MatchString(body.Name):
		return refuse(
			http.StatusBadRequest, "Name must have lowercase letters, digits, hyphens and underscores only, at most 60",
		)
	case body.TeamID != c.team:
		return refuse(http.StatusBadRequest, "Team ID is required")
	}
	if home := volumeRegionsOf[body.Provider][i]; body.SizeInGB < home.min || body.SizeInGB > home.max {
		return refuse(http.StatusBadRequest, "Size must be between %d and %d GB", home.min, home.max)
	}
	v := &volume{
		id: volumeID(len(c.volumes)), name: body.Name, provider: body.Provider, region: body.Region,
		size: body.SizeInGB, created: c.Clock.Now(),
	}
	c.volumes[v.id] = v
	return http.StatusCreated, showVolume(v)
}

func (c *Cloud) growVolume(r *http.Request) (int, any) {
	var body struct {
		Name     *string `json:"name"`
		SizeInGB *int64  `json:"sizeInGb"`
	}
	v, found := c.theVolume(r)
	if !found {
		return refuse(http.StatusNotFound, "Volume not found")
	}
	if err := upstreamtest.ReadJSON(r, &body); err != nil || body.SizeInGB != nil && *body.SizeInGB <= v.size {
		return refuse(http.StatusBadRequest, "Size can only be increased")
	}
	if body.SizeInGB != nil {
		v.size = *body.SizeInGB
	}
	return http.StatusOK, showVolume(v)
}

func (c *Cloud) deleteVolume(r *http.Request) (int, any) {
	v, found := c.theVolume(r)
	switch {
	case !found:
		return refuse(http.StatusNotFound, "Volume not found")
	case len(v.attached) > 0:
		return refuse(http.StatusBadRequest, "Volume must be detached before it can be deleted")
	}
	v.deleted = true
	return http.StatusOK, map[string]any{"success": true}
}

// attachVolume allows several machines per volume. At voltage-park, a machine has at most one
// volume.
func (c *Cloud) attachVolume(r *http.Request) (int, any) {
	v, m, status, problem := c.both(r)
	if status != 0 {
		return status, problem
	}
	switch {
	case m.status != "running":
		return refuse(http.StatusBadRequest, "Deployment must be running")
	case m.offer.Provider != v.provider || m.region != v.region:
		return refuse(http.StatusBadRequest, "Volume and deployment must be in one region of one provider")
	case slices.Contains(v.attached, m.id):
		return refuse(http.StatusBadRequest, "Volume is already attached to this deployment")
	}
	for _, other := range c.volumes {
		if v.provider == "voltage-park" && slices.Contains(other.attached, m.id) {
			return refuse(http.StatusBadRequest, "Only one volume per instance")
		}
	}
	v.attached = append(v.attached, m.id)
	return http.StatusOK, showVolume(v)
}

func (c *Cloud) detachVolume(r *http.Request) (int, any) {
	v, m, status, problem := c.both(r)
	if status != 0 {
		return status, problem
	}
	if !slices.Contains(v.attached, m.id) {
		return refuse(http.StatusBadRequest, "Volume is not attached to this deployment")
	}
	v.attached = slices.DeleteFunc(v.attached, func(id string) bool { return id == m.id })
	return http.StatusOK, showVolume(v)
}

// both returns the volume and the deployment of a request.
func (c *Cloud) both(r *http.Request) (v *volume, m *machine, status int, problem any) {
	var body struct {
		DeploymentID string `json:"deploymentId"`
	}
	v, found := c.theVolume(r)
	if err := upstreamtest.ReadJSON(r, &body); err != nil {
		status, problem = refuse(http.StatusBadRequest, "Invalid request body: %v", err)
		return nil, nil, status, problem
	}
	m, there := c.machines[body.DeploymentID]
	if !found || !there {
		status, problem = refuse(http.StatusNotFound, "Volume or deployment not found")
	}
	return v, m, status, problem
}
