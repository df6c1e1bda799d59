package deploy

import (
	"bytes"
	"cmp"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// cluster is what kubectl apply -k makes, by name.
type cluster struct {
	namespaces map[string]*corev1.Namespace
	services   map[string]*corev1.Service
	sets       map[string]*appsv1.StatefulSet
	configs    map[string]*corev1.ConfigMap
	policies   map[string]*networkingv1.NetworkPolicy
}

// build reads the manifests as kubectl apply -k does. A field that Kubernetes does not know is an error.
func build(t *testing.T) cluster {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "..")
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, networkingv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	c := cluster{map[string]*corev1.Namespace{}, map[string]*corev1.Service{}, map[string]*appsv1.StatefulSet{},
		map[string]*corev1.ConfigMap{}, map[string]*networkingv1.NetworkPolicy{}}
	for _, r := range made.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(text, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", r.CurId(), err)
		}
		meta := object.(metav1.Object)
		if _, namespace := object.(*corev1.Namespace); !namespace && meta.GetNamespace() != "greentally" {
			t.Errorf("%s is in the namespace %q", r.CurId(), meta.GetNamespace())
		}
		if meta.GetLabels()["app.kubernetes.io/part-of"] != "greentally" {
			t.Errorf("%s has the labels %v", r.CurId(), meta.GetLabels())
		}
		switch o := object.(type) {
		case *corev1.Namespace:
			c.namespaces[o.Name] = o
		case *corev1.Service:
			c.services[o.Name] = o
		case *appsv1.StatefulSet:
			c.sets[o.Name] = o
		case *corev1.ConfigMap:
			c.configs[o.Name] = o
			if len(text) > 200_000 { // kubectl apply keeps it in an annotation, of 256 KiB at most
				t.Errorf("the ConfigMap %s has %d bytes", o.Name, len(text))
			}
		case *networkingv1.NetworkPolicy:
			c.policies[o.Name] = o
		default:
			t.Errorf("%s is of a kind that this test does not know", r.CurId())
		}
	}
	return c
}

func TestKubernetes(t *testing.T) {
	c := build(t)
	compose := project(t, checkout(t), false)

	names := []string{"grafana", "greentally", "influxdb", "mosquitto", "prometheus"}
	for what, got := range map[string][]string{"services": slices.Sorted(maps.Keys(c.services)), "stateful sets": slices.Sorted(maps.Keys(c.sets))} {
		if !slices.Equal(got, names) {
			t.Fatalf("there are the %s %v, want %v", what, got, names)
		}
	}
	if ns := c.namespaces["greentally"]; ns == nil || ns.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Errorf("the namespace is %v", ns)
	}

	for name, set := range c.sets {
		t.Run(name, func(t *testing.T) {
			pod := set.Spec.Template.Spec
			if *set.Spec.Replicas != 1 || set.Spec.ServiceName != name || len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
				t.Fatalf("%d replicas of %d containers, behind %s", *set.Spec.Replicas, len(pod.Containers), set.Spec.ServiceName)
			}
			container := pod.Containers[0]
			restricted(t, pod, container)

			// It is what docker-compose.yml starts.
			there := compose.Services[name]
			if container.Image != there.Image {
				t.Errorf("image %s, docker-compose.yml has %s", container.Image, there.Image)
			}
			if !slices.Equal(container.Command, there.Entrypoint) || !slices.Equal(container.Args, there.Command) {
				t.Errorf("runs %q %q, docker-compose.yml %q %q", container.Command, container.Args, there.Entrypoint, there.Command)
			}
			environment := map[string]string{}
			for _, v := range container.Env {
				environment[v.Name] = v.Value
			}
			want := map[string]string{}
			for key, value := range there.Environment {
				if value != nil && *value != "" {
					want[key] = *value
				}
			}
			if !maps.Equal(environment, want) {
				t.Errorf("environment\n%v\ndocker-compose.yml has\n%v", environment, want)
			}
			if ro := container.SecurityContext.ReadOnlyRootFilesystem; there.ReadOnly && (ro == nil || !*ro) {
				t.Error("its files can be written, in docker-compose.yml they cannot")
			}

			// Selectors and ports meet.
			pods := labels.Set(set.Spec.Template.Labels)
			selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
			if err != nil || !selector.Matches(pods) {
				t.Errorf("the set selects %v, its pods are %v (%v)", selector, pods, err)
			}
			service := c.services[name]
			if !labels.SelectorFromSet(service.Spec.Selector).Matches(pods) || len(service.Spec.Selector) == 0 {
				t.Errorf("the service selects %v, the pods are %v", service.Spec.Selector, pods)
			}
			if service.Spec.Type != corev1.ServiceTypeClusterIP || len(service.Spec.ExternalIPs) > 0 {
				t.Errorf("the service is a %s", service.Spec.Type)
			}
			for _, port := range service.Spec.Ports {
				if containerPort(container, port.TargetPort) != port.Port {
					t.Errorf("port %d of the service leads to %v", port.Port, port.TargetPort)
				}
			}
			for _, probe := range []*corev1.Probe{container.LivenessProbe, container.ReadinessProbe} {
				switch {
				case probe == nil:
					t.Error("a probe is missing")
				case probe.HTTPGet != nil && containerPort(container, probe.HTTPGet.Port) == 0,
					probe.TCPSocket != nil && containerPort(container, probe.TCPSocket.Port) == 0:
					t.Errorf("a probe asks a port that there is not: %v", probe)
				}
			}
			for _, kind := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				request, limit := container.Resources.Requests[kind], container.Resources.Limits[kind]
				if request.IsZero() || limit.Cmp(request) < 0 {
					t.Errorf("%s: request %v, limit %v", kind, &request, &limit)
				}
			}

			files := c.mounted(t, set)
			for _, secret := range there.Secrets {
				if _, ok := files["/run/secrets/"+secret.Source]; !ok {
					t.Errorf("it lacks the secret %s that docker-compose.yml gives it", secret.Source)
				}
			}
			for file := range files {
				if secret, ok := strings.CutPrefix(file, "/run/secrets/"); ok {
					if _, ok := compose.Secrets[secret]; !ok {
						t.Errorf("up.sh makes no secret %s", secret)
					}
				}
			}
			// Files that its environment and its command name are there, and so are those that docker-compose.yml mounts.
			for _, text := range slices.Concat(slices.Collect(maps.Values(environment)), container.Command, container.Args) {
				_, name, ok := strings.Cut("="+text, "=/")
				if !ok || path.Ext(name) == "" && !strings.HasPrefix(name, "run/secrets/") {
					continue
				}
				if _, ok := files["/"+name]; !ok {
					t.Errorf("it names /%s, which is not there", name)
				}
			}
			for _, v := range there.Volumes {
				if !v.ReadOnly {
					continue
				}
				err := filepath.WalkDir(v.Source, func(name string, d os.DirEntry, err error) error {
					if err != nil || d.IsDir() || strings.HasSuffix(v.Source, "/dashboards") && filepath.Ext(name) != ".json" {
						return err
					}
					relative, err := filepath.Rel(v.Source, name)
					if file := path.Join(v.Target, relative); files[file] != readFile(t, name) {
						t.Errorf("%s is not what docker-compose.yml mounts there", file)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	t.Run("network", c.network)
}

// restricted checks what Pod Security asks of the level restricted, and more.
func restricted(t *testing.T, pod corev1.PodSpec, container corev1.Container) {
	t.Helper()
	p, s := pod.SecurityContext, container.SecurityContext
	switch {
	case p == nil || s == nil:
		t.Fatal("no security context")
	case p.RunAsNonRoot == nil || !*p.RunAsNonRoot || p.RunAsUser == nil || *p.RunAsUser == 0 || p.FSGroup == nil:
		t.Error("it may run as root")
	case p.SeccompProfile == nil || p.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault:
		t.Error("no seccomp profile")
	case s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Privileged != nil:
		t.Error("it may get privileges")
	case s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0:
		t.Error("it has capabilities")
	case pod.HostNetwork || pod.HostPID || pod.HostIPC:
		t.Error("it is in a namespace of the host")
	case pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken:
		t.Error("it has a token of the cluster")
	case pod.EnableServiceLinks == nil || *pod.EnableServiceLinks:
		t.Error("variables of the cluster's services are in its environment")
	}
}

// mounted returns the files that a set's pods see below their mounts, with what is known of their contents. All that is
// referred to must be there, but for what the operator makes: the Secret greentally and the ConfigMap communities.
func (c cluster) mounted(t *testing.T, set *appsv1.StatefulSet) map[string]string {
	t.Helper()
	volumes := map[string]map[string]string{}
	config := func(name string, optional *bool) map[string]string {
		if m := c.configs[name]; m != nil {
			return m.Data
		}
		if name != "communities" || optional == nil || !*optional {
			t.Errorf("there is no ConfigMap %s", name)
		}
		return nil
	}
	for _, v := range set.Spec.Template.Spec.Volumes {
		files := map[string]string{}
		switch {
		case v.ConfigMap != nil:
			maps.Copy(files, config(v.ConfigMap.Name, v.ConfigMap.Optional))
		case v.Projected != nil:
			for _, source := range v.Projected.Sources {
				maps.Copy(files, config(source.ConfigMap.Name, source.ConfigMap.Optional))
			}
		case v.Secret != nil:
			if v.Secret.SecretName != "greentally" || *v.Secret.DefaultMode != 0o440 || len(v.Secret.Items) == 0 {
				t.Errorf("volume %s: secret %s, mode %o", v.Name, v.Secret.SecretName, *v.Secret.DefaultMode)
			}
			for _, item := range v.Secret.Items {
				files[item.Path] = ""
			}
		case v.EmptyDir != nil:
		default:
			t.Errorf("volume %s is of a kind that it need not be", v.Name)
		}
		volumes[v.Name] = files
	}
	for _, claim := range set.Spec.VolumeClaimTemplates {
		volumes[claim.Name] = map[string]string{}
		if claim.Spec.Resources.Requests.Storage().IsZero() {
			t.Errorf("the claim %s asks for nothing", claim.Name)
		}
	}
	all, used := map[string]string{}, map[string]bool{}
	for _, m := range set.Spec.Template.Spec.Containers[0].VolumeMounts {
		files, ok := volumes[m.Name]
		if !ok {
			t.Errorf("there is no volume %s", m.Name)
		}
		if len(files) > 0 && !m.ReadOnly {
			t.Errorf("it may write to %s", m.MountPath)
		}
		used[m.Name] = true
		for name, text := range files {
			all[path.Join(m.MountPath, name)] = text
		}
	}
	if len(used) != len(volumes) {
		t.Errorf("of %d volumes %d are mounted", len(volumes), len(used))
	}
	return all
}

func containerPort(c corev1.Container, port intstr.IntOrString) int32 {
	for _, p := range c.Ports {
		if p.Name == port.StrVal && port.Type == intstr.String || p.ContainerPort == port.IntVal {
			return p.ContainerPort
		}
	}
	return 0
}

// network compares who may talk to whom with who does.
func (c cluster) network(t *testing.T) {
	if p := c.policies["nobody"]; p == nil || len(p.Spec.PodSelector.MatchLabels) > 0 || len(p.Spec.PolicyTypes) != 2 || len(p.Spec.Ingress)+len(p.Spec.Egress) > 0 {
		t.Errorf("the policy for all is %v", p)
	}
	type way struct {
		from, to string
		port     int32
	}
	var out, in []way
	for name, policy := range c.policies {
		if name == "nobody" || name == "names" {
			continue
		}
		set := c.sets[name]
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		if err != nil || set == nil || selector.Empty() || !selector.Matches(labels.Set(set.Spec.Template.Labels)) {
			t.Errorf("the policy %s is for %v (%v)", name, selector, err)
		}
		peer := func(p networkingv1.NetworkPolicyPeer) string {
			if p.NamespaceSelector != nil {
				for label := range p.NamespaceSelector.MatchLabels {
					return "label " + label
				}
			}
			selector, err := metav1.LabelSelectorAsSelector(p.PodSelector)
			if err != nil {
				t.Fatal(err)
			}
			for name, set := range c.sets {
				if selector.Matches(labels.Set(set.Spec.Template.Labels)) {
					return name
				}
			}
			return "nobody: " + selector.String()
		}
		for _, rule := range policy.Spec.Ingress {
			for _, p := range rule.Ports {
				if len(rule.From) == 0 || p.Port.IntVal != c.services[name].Spec.Ports[0].Port {
					t.Errorf("%s may be asked by %d peers at %v", name, len(rule.From), p.Port)
				}
				for _, from := range rule.From {
					in = append(in, way{peer(from), name, p.Port.IntVal})
				}
			}
		}
		for _, rule := range policy.Spec.Egress {
			for _, p := range rule.Ports {
				if len(rule.To) == 0 {
					out = append(out, way{name, "anywhere", p.Port.IntVal})
				}
				for _, to := range rule.To {
					out = append(out, way{name, peer(to), p.Port.IntVal})
				}
			}
		}
	}
	order := func(a, b way) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.port, b.port))
	}
	slices.SortFunc(in, order)
	slices.SortFunc(out, order)
	within := []way{
		{"grafana", "influxdb", 8086}, {"grafana", "prometheus", 9090},
		{"greentally", "influxdb", 8086}, {"greentally", "mosquitto", 1883},
		{"prometheus", "greentally", 8080},
	}
	if want := slices.SortedFunc(slices.Values(slices.Concat(within, []way{
		{"label greentally/devices", "mosquitto", 1883}, {"label greentally/people", "grafana", 3000},
	})), order); !slices.Equal(in, want) {
		t.Errorf("may be asked: %v, want %v", in, want)
	}
	if want := slices.SortedFunc(slices.Values(slices.Concat(within, []way{
		{"greentally", "anywhere", 25}, {"greentally", "anywhere", 465}, {"greentally", "anywhere", 587},
	})), order); !slices.Equal(out, want) {
		t.Errorf("may ask: %v, want %v", out, want)
	}
}

// TestKubernetesAddresses checks that what the services' files and environments name is in the cluster under that name.
func TestKubernetesAddresses(t *testing.T) {
	c := build(t)
	var text bytes.Buffer
	for _, m := range c.configs {
		if !strings.HasPrefix(m.Name, "dashboard-") {
			for _, data := range m.Data {
				text.WriteString(data)
			}
		}
	}
	for _, set := range c.sets {
		for _, v := range set.Spec.Template.Spec.Containers[0].Env {
			text.WriteString(v.Value + "\n")
		}
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`\b([a-z]+):(\d+)\b`).FindAllStringSubmatch(text.String(), -1) {
		if service := c.services[m[1]]; service != nil {
			named[m[1]] = true
			if port := strconv.Itoa(int(service.Spec.Ports[0].Port)); port != m[2] {
				t.Errorf("%s is asked for at port %s, and is at %s", m[1], m[2], port)
			}
		}
	}
	if want := []string{"greentally", "influxdb", "mosquitto", "prometheus"}; !slices.Equal(slices.Sorted(maps.Keys(named)), want) {
		t.Errorf("%v are asked for, want %v", named, want)
	}
}
