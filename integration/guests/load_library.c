// dlopen, dlsym, dlclose of the mathematics library, several times over.
#include "guest.h"
#include <dlfcn.h>

int main(void) {
    uint64_t sum = 0;
    for (int i = 1; i <= 20; i++) {
        void *library = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
        CHECK(library);
        double (*cosine)(double) = (double (*)(double))(uintptr_t)dlsym(library, "cos");
        double (*power)(double, double) = (double (*)(double, double))(uintptr_t)dlsym(library, "pow");
        CHECK(cosine && power && !dlsym(library, "no_such_function") && dlerror());
        double value = cosine(i) * power(i, 1.5);
        sum = mix_bytes(sum, &value, sizeof value);
        CHECK(dlclose(library) == 0);
    }
    CHECK(!dlopen("libnothing-of-the-sort.so", RTLD_NOW));
    return finish("load_library", sum);
}
