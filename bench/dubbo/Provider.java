package pierhead;

import com.alibaba.dubbo.config.ApplicationConfig;
import com.alibaba.dubbo.config.ProtocolConfig;
import com.alibaba.dubbo.config.RegistryConfig;
import com.alibaba.dubbo.config.ServiceConfig;

/** An app as a company has it: nothing in it knows of containers or Pierhead. Its argument is the registry. */
public final class Provider {
    public static void main(String[] arguments) throws InterruptedException {
        ApplicationConfig application = new ApplicationConfig("greeting-provider");
        application.setQosEnable(false);
        ServiceConfig<Greeting> service = new ServiceConfig<>();
        service.setApplication(application);
        service.setRegistry(new RegistryConfig("zookeeper://" + arguments[0]));
        service.setProtocol(new ProtocolConfig("dubbo", 20880));
        service.setInterface(Greeting.class);
        service.setRef(name -> "hello " + name);
        service.export();
        Thread.currentThread().join();
    }
}
