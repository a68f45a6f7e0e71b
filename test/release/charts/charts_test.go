package charts

import (
	"context"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const packaging = "../../../packaging"

// rendered are the objects of the chart, each decoded into Kubernetes' type without unknown fields.
type rendered struct {
	deployment appsv1.Deployment
	service    corev1.Service
	account    corev1.ServiceAccount
	budget     *policyv1.PodDisruptionBudget
	ingress    *networkingv1.Ingress
	migrate    *batchv1.Job
}

func values(t *testing.T, text string) map[string]any {
	t.Helper()
	v, err := chartutil.ReadValues([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// render returns what the chart makes of the values, or the error of the values' schema.
func render(t *testing.T, text string) (r rendered, err error) {
	t.Helper()
	chart, err := loader.LoadDir(filepath.Join(packaging, "helm/billet"))
	if err != nil {
		t.Fatal(err)
	}
	if err := chart.Validate(); err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(chart, values(t, text),
		chartutil.ReleaseOptions{Name: "gpu", Namespace: "cloud", Revision: 1, IsInstall: true},
		chartutil.DefaultCapabilities)
	if err != nil {
		return r, err
	}
	e := engine.Engine{Strict: true}
	files, err := e.Render(chart, all)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if strings.TrimSpace(content) == "" || strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		var into any
		switch path.Base(name) {
		case "deployment.yaml":
			into = &r.deployment
		case "service.yaml":
			into = &r.service
		case "serviceaccount.yaml":
			into = &r.account
		case "pdb.yaml":
			r.budget = &policyv1.PodDisruptionBudget{}
			into = r.budget
		case "migrate.yaml":
			r.migrate = &batchv1.Job{}
			into = r.migrate
		case "ingress.yaml":
			r.ingress = &networkingv1.Ingress{}
			into = r.ingress
		default:
			t.Fatalf("the test does not know %s", name)
		}
		if err := yaml.UnmarshalStrict([]byte(content), into); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, content)
		}
	}
	return r, nil
}

const least = "image: {repository: registry.example.com/billet, tag: v1.2.0-amd64}\nexistingSecret: billet\n"

func TestChartMakesWhatKubernetesKnows(t *testing.T) {
	r, err := render(t, least+`
ingress: {enabled: true, host: gpu.example.com, className: nginx, tlsSecret: tls, annotations: {a: b}}
settings: {BILLET_PUBLIC_URL: "https://gpu.example.com"}
nodeSelector: {disk: ssd}
tolerations: [{key: a, operator: Exists}]
podAnnotations: {c: d}
`)
	if err != nil {
		t.Fatal(err)
	}
	d := r.deployment
	if d.APIVersion != "apps/v1" || d.Kind != "Deployment" || d.Name != "gpu-billet" || *d.Spec.Replicas != 2 {
		t.Errorf("got %s %s %s with %d replicas", d.APIVersion, d.Kind, d.Name, *d.Spec.Replicas)
	}
	pod := d.Spec.Template
	for name, selector := range map[string]map[string]string{
		"deployment": d.Spec.Selector.MatchLabels, "service": r.service.Spec.Selector,
		"budget": r.budget.Spec.Selector.MatchLabels,
		"spread": pod.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels,
	} {
		if len(selector) == 0 {
			t.Errorf("the %s selects everything", name)
		}
		for key, value := range selector {
			if pod.Labels[key] != value {
				t.Errorf("the %s selects %s=%s, and pods have %q", name, key, value, pod.Labels[key])
			}
		}
	}
	if got := r.budget.Spec.MaxUnavailable.IntValue(); got != 1 {
		t.Errorf("the budget allows %d unavailable", got)
	}
	backend := r.ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service
	if backend.Name != r.service.Name || backend.Port.Name != r.service.Spec.Ports[0].Name ||
		r.ingress.Spec.TLS[0].Hosts[0] != "gpu.example.com" {
		t.Errorf("the ingress leads to %+v, and the service is %s", backend, r.service.Name)
	}
	if pod.Spec.ServiceAccountName != r.account.Name || *pod.Spec.AutomountServiceAccountToken {
		t.Error("pods have another service account, or its token")
	}
	if pod.Spec.NodeSelector["disk"] != "ssd" || len(pod.Spec.Tolerations) != 1 || pod.Annotations["c"] != "d" {
		t.Errorf("values are missing in the pod: %+v", pod)
	}
}

func TestChartConfinesTheServer(t *testing.T) {
	r, err := render(t, least)
	if err != nil {
		t.Fatal(err)
	}
	spec := r.deployment.Spec.Template.Spec
	if s := spec.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser != 65532 ||
		s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("got %+v", s)
	}
	c := spec.Containers[0]
	if s := c.SecurityContext; *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem ||
		!slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("got %+v", s)
	}
}

// The server is asked for what it answers, and is not killed while it migrates or stops.
func TestChartAsksAndWaits(t *testing.T) {
	r, err := render(t, least)
	if err != nil {
		t.Fatal(err)
	}
	spec := r.deployment.Spec.Template.Spec
	c := spec.Containers[0]
	port := c.Ports[0].Name
	for path, probe := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if probe.HTTPGet.Path != path || probe.HTTPGet.Port.String() != port {
			t.Errorf("got %+v, want %s at %s", probe.HTTPGet, path, port)
		}
	}
	if p := c.StartupProbe; p.HTTPGet.Path != "/healthz" || p.PeriodSeconds*p.FailureThreshold < 60 {
		t.Errorf("a start may take %d s", p.PeriodSeconds*p.FailureThreshold)
	}
	i := slices.IndexFunc(c.Env, func(v corev1.EnvVar) bool { return v.Name == "BILLET_DRAIN" })
	if i < 0 {
		t.Fatal("a server that is stopped does not drain")
	}
	// The server stops within 30 seconds after it has drained.
	drain, err := time.ParseDuration(c.Env[i].Value)
	grace := time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second
	if err != nil || drain < 5*time.Second || grace < drain+30*time.Second {
		t.Errorf("killed after %s, and drains for %s: %v", grace, drain, err)
	}
	if r.ingress != nil {
		t.Error("there is an ingress that was not asked for")
	}
}

func TestChartTakesKeysFromTheSecret(t *testing.T) {
	r, err := render(t, least)
	if err != nil {
		t.Fatal(err)
	}
	secrets := 0
	for _, v := range r.deployment.Spec.Template.Spec.Containers[0].Env {
		if f := v.ValueFrom; f != nil {
			secrets++
			if f.SecretKeyRef.Name != "billet" || f.SecretKeyRef.Key != v.Name {
				t.Errorf("%s is %+v", v.Name, f.SecretKeyRef)
			}
			if f.SecretKeyRef.Optional != nil && *f.SecretKeyRef.Optional {
				t.Errorf("several servers start without %s", v.Name)
			}
		}
	}
	if secrets != 3 {
		t.Errorf("%d variables are secret, want 3", secrets)
	}
}

// One server needs no Redis, and cannot be kept from being moved.
func TestChartOfOneServer(t *testing.T) {
	r, err := render(t, least+"replicas: 1\n")
	if err != nil {
		t.Fatal(err)
	}
	c := r.deployment.Spec.Template.Spec.Containers[0]
	i := slices.IndexFunc(c.Env, func(v corev1.EnvVar) bool { return v.Name == "BILLET_REDIS_URL" })
	if i < 0 || !*c.Env[i].ValueFrom.SecretKeyRef.Optional || r.budget != nil {
		t.Errorf("got %+v, budget %v", c.Env, r.budget)
	}
}

// The database is migrated before servers start, by a pod that the service does not lead to.
func TestChartMigratesBefore(t *testing.T) {
	r, err := render(t, least)
	if err != nil {
		t.Fatal(err)
	}
	pod := r.migrate.Spec.Template
	c, server := pod.Spec.Containers[0], r.deployment.Spec.Template.Spec.Containers[0]
	if got := r.migrate.Annotations["helm.sh/hook"]; got != "pre-install,pre-upgrade" || c.Image != server.Image ||
		!slices.Equal(c.Args, []string{"migrate"}) || pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("it runs %s %v at %q", c.Image, c.Args, got)
	}
	if !*c.SecurityContext.ReadOnlyRootFilesystem || !*pod.Spec.SecurityContext.RunAsNonRoot ||
		pod.Spec.ServiceAccountName != "" || *pod.Spec.AutomountServiceAccountToken {
		t.Error("the job is not confined, or needs what is not installed yet")
	}
	selected := true
	for key, value := range r.service.Spec.Selector {
		selected = selected && pod.Labels[key] == value
	}
	if selected {
		t.Error("the service leads to the job")
	}
	if r, err = render(t, least+"migrate: false\n"); err != nil || r.migrate != nil {
		t.Errorf("there is a job that was not asked for: %v", err)
	}
}

// The metrics are served with a token only, and an archive is not lost with a pod.
func TestChartMountsTokenAndArchive(t *testing.T) {
	r, err := render(t, least+"metrics: {enabled: true, tokenSecret: watch}\narchive: {claim: shared}\n")
	if err != nil {
		t.Fatal(err)
	}
	spec := r.deployment.Spec.Template.Spec
	env, at, volumes := map[string]string{}, map[string]string{}, map[string]corev1.VolumeSource{}
	for _, v := range spec.Containers[0].Env {
		env[v.Name] = v.Value
	}
	for _, v := range spec.Containers[0].VolumeMounts {
		at[v.Name] = v.MountPath
	}
	for _, v := range spec.Volumes {
		volumes[v.Name] = v.VolumeSource
	}
	if got := env["BILLET_METRICS_TOKEN_FILE"]; got != at["metrics"]+"/token" || env["BILLET_METRICS_LISTEN"] == "" ||
		volumes["metrics"].Secret.SecretName != "watch" || len(spec.Containers[0].Ports) != 2 {
		t.Errorf("the token is at %s, and mounted %+v", got, volumes["metrics"])
	}
	if got := env["BILLET_ARCHIVE_DIR"]; got != at["archive"] ||
		volumes["archive"].PersistentVolumeClaim.ClaimName != "shared" {
		t.Errorf("the archive is at %s, and mounted %+v", got, volumes["archive"])
	}
	for name := range at {
		if _, is := volumes[name]; !is {
			t.Errorf("%s is mounted and no volume", name)
		}
	}
}

func TestChartRefusesValues(t *testing.T) {
	for name, text := range map[string]string{
		"no image":          "existingSecret: billet\n",
		"no secret":         "image: {repository: a, tag: b}\n",
		"a misspelled name": least + "replica: 3\n",
		"no servers":        least + "replicas: 0\n",
		"a number":          least + "settings: {BILLET_DATABASE_POOL: 20}\n",
		"another variable":  least + "settings: {PATH: /}\n",
		"a secret":          least + "settings: {BILLET_SECRET_KEY: x}\n",
		"no token":          least + "metrics: {enabled: true}\n",
		"a lost archive":    least + "settings: {BILLET_ARCHIVE_DIR: /data/archive}\n",
		"no host":           least + "ingress: {enabled: true}\n",
	} {
		if _, err := render(t, text); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// load returns what Compose makes of the files.
func load(t *testing.T, env []string, files ...string) (*types.Project, error) {
	t.Helper()
	for i, f := range files {
		files[i] = filepath.Join(packaging, "compose", f)
	}
	o, err := cli.NewProjectOptions(files, cli.WithEnv(env), cli.WithName("billet"))
	if err != nil {
		t.Fatal(err)
	}
	return o.LoadProject(context.Background())
}

var versioned = regexp.MustCompile(`:[^:/]*\d[^:/]*$`)

// checkService: a service publishes nothing but what browsers use, is confined, and starts again.
func checkService(t *testing.T, name string, s types.ServiceConfig) {
	t.Helper()
	for _, port := range s.Ports {
		if name != "caddy" && port.HostIP != "127.0.0.1" {
			t.Errorf("%s publishes %s on every address", name, port.Published)
		}
	}
	if name != "caddy" && s.HealthCheck == nil || s.Restart != "unless-stopped" {
		t.Errorf("%s has no health check, or does not start again", name)
	}
	if name != "postgres" && (!s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") ||
		!slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged) {
		t.Errorf("%s is not confined", name)
	}
	if !versioned.MatchString(s.Image) {
		t.Errorf("%s has an image without a version: %s", name, s.Image)
	}
}

// checkProxy: billetd and Caddy have addresses of their own in their network, and Caddy reaches
// billetd there, where it is trusted, and not in the other network that both are in.
func checkProxy(t *testing.T, p *types.Project) {
	t.Helper()
	billetd, caddy := p.Services["billetd"], p.Services["caddy"]
	server, proxy := billetd.Networks["proxy"], caddy.Networks["proxy"]
	if server == nil || proxy == nil || server.Ipv4Address == "" || proxy.Ipv4Address == "" {
		t.Fatalf("billetd is %+v, and Caddy is %+v", server, proxy)
	}
	subnet := netip.MustParsePrefix(p.Networks["proxy"].Ipam.Config[0].Subnet)
	for _, at := range []string{server.Ipv4Address, proxy.Ipv4Address} {
		if !subnet.Contains(netip.MustParseAddr(at)) || at == subnet.Addr().Next().String() {
			t.Errorf("%s is outside %s, or its gateway", at, subnet)
		}
	}
	if trusted := *billetd.Environment["BILLET_TRUSTED_PROXIES"]; trusted != proxy.Ipv4Address ||
		server.Ipv4Address == proxy.Ipv4Address {
		t.Errorf("%s is trusted, Caddy is %s, and billetd %s", trusted, proxy.Ipv4Address, server.Ipv4Address)
	}
	i := slices.Index(caddy.Command, "--to")
	if i < 0 || caddy.Command[i+1] != server.Ipv4Address+":8080" {
		t.Errorf("Caddy runs %v, and billetd is %s", caddy.Command, server.Ipv4Address)
	}
}

func TestComposeFiles(t *testing.T) {
	env := []string{"BILLET_IMAGE=billet:v1.2.0-amd64", "POSTGRES_PASSWORD=aa11", "BILLET_SECRET_KEY=key=",
		"BILLET_DOMAIN=gpu.example.com"}
	for i := range 3 {
		if _, err := load(t, slices.Delete(slices.Clone(env), i, i+1), "compose.yaml"); err == nil {
			t.Errorf("it starts without %s", env[i])
		}
	}
	alone, err := load(t, env[:3], "compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	https, err := load(t, env, "compose.yaml", "compose.https.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, env[:3], "compose.yaml", "compose.https.yaml"); err == nil {
		t.Error("https starts without a domain")
	}
	for _, p := range []*types.Project{alone, https} {
		for name, s := range p.Services {
			checkService(t, name, s)
		}
		b := p.Services["billetd"]
		if got := *b.Environment["BILLET_DATABASE_URL"]; !strings.Contains(got, ":aa11@postgres:5432/") {
			t.Errorf("the database is %s", got)
		}
		if !p.Networks["back"].Internal {
			t.Error("the database is reached from outside")
		}
		if wait := b.StopGracePeriod; wait == nil || time.Duration(*wait) < 30*time.Second {
			t.Errorf("killed after %v", wait)
		}
	}
	checkProxy(t, https)
	if got := *https.Services["billetd"].Environment["BILLET_PUBLIC_URL"]; got != "https://gpu.example.com" {
		t.Errorf("the public URL is %s", got)
	}
	example, err := os.ReadFile(filepath.Join(packaging, "compose/example.env"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if !regexp.MustCompile(`(?m)^#?` + name + `=`).Match(example) {
			t.Errorf("example.env has no %s", name)
		}
	}
}
