package pierhead;

import com.alibaba.dubbo.config.ApplicationConfig;
import com.alibaba.dubbo.config.ReferenceConfig;
import com.alibaba.dubbo.config.RegistryConfig;

/** Finds a provider in the registry that its argument names, and prints the answers to so many calls. */
public final class Consumer {
    public static void main(String[] arguments) {
        ApplicationConfig application = new ApplicationConfig("greeting-consumer");
        application.setQosEnable(false);
        ReferenceConfig<Greeting> reference = new ReferenceConfig<>();
        reference.setApplication(application);
        RegistryConfig registry = new RegistryConfig("zookeeper://" + arguments[0]);
        registry.setTimeout(60000);
        reference.setRegistry(registry);
        reference.setInterface(Greeting.class);
        reference.setTimeout(10000);
        reference.setRetries(0);
        Greeting greeting = reference.get();
        for (int number = 0; number < Integer.parseInt(arguments[1]); number++) {
            System.out.println(greeting.greet("call " + number));
        }
        System.exit(0);
    }
}
